"""What all acts share: the running service, its traffic, and how an act is watched and judged."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import grpc

from benchmarks.demo.load import Load, Served
from benchmarks.demo.tally import Always, Tally, tallies
from server.config.classes import SloConfig
from turnout.v1 import admin_pb2 as pb

if TYPE_CHECKING:  # the stubs know it, the generated code does not
    from turnout.v1.admin_pb2_grpc import AdminServiceAsyncStub

_LOOK_EVERY_S = 0.25
_FOLLOWS_S = 20.0  # windows of a second, on a machine with other things to do


class PromiseBroken(Exception):
    """What was promised and did not come."""


class Plans:
    """The plan in force, looked up over and over."""

    def __init__(self, admin: "AdminServiceAsyncStub") -> None:
        self.latest = pb.Plan()
        self._admin = admin
        self._looked = asyncio.Condition()

    async def follow(self) -> None:
        """Until cancelled. Without a control plane the latest plan stays the latest."""
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                response = await self._admin.GetPlan(pb.GetPlanRequest())
                async with self._looked:
                    self.latest = response.plan
                    self._looked.notify_all()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def until(
        self, holds: Callable[[pb.Plan], bool], promise: str, *, within_s: float = _FOLLOWS_S
    ) -> None:
        """Waits for a plan like that; raises PromiseBroken when none comes."""
        try:
            async with asyncio.timeout(within_s), self._looked:
                await self._looked.wait_for(lambda: holds(self.latest))
        except TimeoutError:
            said = f": {self.latest.failure}" if self.latest.failure else ""
            raise PromiseBroken(f"{promise}, within {within_s:g} s{said}") from None


@dataclass(slots=True, kw_only=True)
class Stage:
    """What any act may touch; the models of a show are its own."""

    admin: "AdminServiceAsyncStub"
    plans: Plans
    load: Load
    always: Always
    slo: SloConfig
    floors: dict[str, float]  # as they are promised now
    say: Callable[[str], None]
    judged_s: float = 0.0  # what was due before belongs to an earlier act


AnyStage = TypeVar("AnyStage", bound=Stage)


@dataclass(frozen=True, slots=True)
class Act(Generic[AnyStage]):
    """A change to the running service, and how long to watch what comes of it."""

    title: str
    change: Callable[[AnyStage], Awaitable[None]]
    watched_s: float
    cheaper: bool = True  # than always-best, as its own samples show for each class
    sheds: frozenset[str] = frozenset()  # classes of which a part may be refused
    # Failures that the change was bound to bring.
    excuses: Callable[[AnyStage, Served], bool] = lambda *_: False
    # What else was promised and is ruled out by what was served in so many seconds.
    judge: Callable[[Sequence[Served], float, float], list[str]] = lambda *_: []

    def may_refuse(self, one: Served) -> bool:
        return one.is_shed and one.arrival.traffic_class in self.sheds


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an act."""

    title: str
    tallies: tuple[Tally, ...]
    prices: tuple[str, ...]  # the plan's own sentences
    failures: tuple[str, ...]  # of all requests from the change on, and of reports
    broken: tuple[str, ...]
    refusals: tuple[str, ...] = ()  # what those were told whom the act may refuse


async def perform(act: Act[AnyStage], stage: AnyStage, confidence: float) -> Result:
    """Makes the change and watches. Samples count from the plan that follows the change.

    Failures count from the end of the act before, so that none falls between two.
    """
    stage.say(f"Act {act.title}")
    try:
        await act.change(stage)
    except PromiseBroken as promise:
        return Result(act.title, (), sentences(stage.plans.latest), (), (str(promise),))
    except grpc.aio.AioRpcError as error:
        refused = f"an operator's change is taken: {error.details()}"
        return Result(act.title, (), sentences(stage.plans.latest), (), (refused,))
    from_s = stage.load.now_s()
    due = await stage.load.between(stage.judged_s, from_s + act.watched_s)
    stage.judged_s = from_s + act.watched_s
    watched = [one for one in due if one.arrival.due_s >= from_s]
    counts = tallies(watched, stage.floors, stage.always, stage.slo, confidence)
    lost = [
        one.failure
        for one in due
        if one.failure and not act.may_refuse(one) and not act.excuses(stage, one)
    ]
    failures = (*lost, *stage.load.take_refused())
    broken = [promise for tally in counts for promise in tally.broken]
    if act.cheaper:
        dear = (one.traffic_class for one in counts if not one.is_cheaper)
        broken += [f"{name} is cheaper than always-best" for name in dear]
    broken += act.judge(watched, act.watched_s, confidence)
    if failures:
        broken.append(f"no request is lost: {len(failures)} failed, first: {failures[0]}")
    refusals = tuple(one.failure for one in watched if act.may_refuse(one))
    told = sentences(stage.plans.latest)
    return Result(act.title, counts, told, failures, tuple(broken), refusals)


def sentences(plan: pb.Plan) -> tuple[str, ...]:
    """What the plan says of breaches, budgets and floors, in that order; not that one is free."""
    telling = [step for step in plan.step_prices if step.step >= 0 and not _is_free(step)]
    return (
        *(breach.text for breach in plan.breaches if breach.kind != "pace"),
        *(budget.text for budget in plan.budgets),
        *(step.text for step in telling if step.text),
    )


def share_of(plan: pb.Plan, model: str) -> float:
    """The largest that it has of any cell."""
    return max(
        (share.share for cell in plan.cells for share in cell.shares if share.model == model),
        default=0.0,
    )


def _is_free(step: pb.StepPrice) -> bool:
    return step.HasField("cost_nano_usd_per_day") and step.cost_nano_usd_per_day == 0
