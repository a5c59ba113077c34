"""Plans every window: closes it, solves, publishes. A failed solve keeps the older plan."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from optimizer.deadline import Deadline
from optimizer.lp import solve
from optimizer.solution import Failure, Solution
from server.control.explainer import Explainer
from server.control.knowledge import Knowledge
from server.control.parts import parts_of, shares_of
from server.control.plan import FLOOR_TOLERANCE, add_promises, plan_message
from server.control.plan_archive import PlanArchive, packed, plan_id_of
from server.control.publisher import Publisher
from server.control.window import Window, build_window
from turnout.v1.admin_pb2 import Plan
from turnout.v1.control_pb2 import WatchPlanResponse

# All solves of a window together, a window by default: then the best plan that was found is used.
SOLVE_S_MAX = 5.0
# Two windows that close at one reading of the clock still have a length.
_WINDOW_S_MIN = 1e-3

Solver = Callable[[Window], Solution | Failure]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Draft:
    """What was made of a window, ready to be published."""

    window: Window
    solution: Solution
    plan: Plan
    routes: object  # equal for plans that route alike
    # Empty where it routes like the plan in force: then it has that one's id.
    parts: tuple[WatchPlanResponse, ...] = ()
    replaced: bytes = b""  # the plan in force until now, packed; empty: none


def solve_window(window: Window) -> Solution | Failure:
    """The optimizer's answer."""
    return solve(window.problem, Deadline(SOLVE_S_MAX, time.monotonic))


def _tell_nobody(_now_s: float) -> None:
    pass


class Replanner:
    """Solves in a thread, so that workers and operators are answered meanwhile."""

    def __init__(  # noqa: PLR0913 - all that planning needs
        self,
        knowledge: Knowledge,
        publisher: Publisher,
        explainer: Explainer,
        *,
        epoch: int,
        clock: Callable[[], float],
        solver: Solver,
        on_closed: Callable[[float], None] = _tell_nobody,
    ) -> None:
        """`on_closed` is told when a window has been closed, before the next one has anything."""
        self._knowledge = knowledge
        self._publisher = publisher
        self._explainer = explainer
        self._epoch = epoch
        self._clock = clock
        self._solver = solver
        self._on_closed = on_closed
        self._wake = asyncio.Event()
        self._closed_s = clock()
        self._ids = 0
        self._routes: object = None
        self.archive = PlanArchive(epoch)
        self.plan: Plan | None = None  # None before the first

    def wake(self) -> None:
        """Plans at once, for something that the plan rests on has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Plans until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._knowledge.config.window_s)
            self._wake.clear()
            try:
                await self._replan()
            except Exception as error:  # noqa: BLE001 - whatever it is, the older plan goes on
                _log.error("planning failed", exc_info=error)
                self._failed(f"{type(error).__name__}: {error}")

    async def _replan(self) -> None:
        now_s = self._clock()
        self.close_window(now_s)
        window = build_window(self._knowledge, now_s=now_s)
        if window is None:
            self._failed("no request has been seen that a model which is up could answer")
            return
        draft = await asyncio.to_thread(self._draft, window, now_s)
        if isinstance(draft, Failure):
            _log.error("solving failed", status=draft.status, reason=draft.message)
            self._failed(f"{draft.status}: {draft.message}")
            return
        draft.plan.solve_ms = (self._clock() - now_s) * 1_000
        self._publish(draft, now_s)

    def close_window(self, now_s: float) -> None:
        """Learns what was counted until now."""
        elapsed_s = max(now_s - self._closed_s, _WINDOW_S_MIN)
        self._closed_s = now_s
        self._knowledge.close_window(elapsed_s, now_s=now_s)
        self._on_closed(now_s)

    def _draft(self, window: Window, now_s: float) -> _Draft | Failure:
        """All that needs no more than the window; runs beside the loop."""
        solution = self._solver(window)
        if isinstance(solution, Failure):
            return solution
        shares = shares_of(window, solution)
        routes, before = shares.nearly(), self.plan
        if before is not None and routes == self._routes:
            plan = plan_message(before.id, window, solution, now_s=now_s)
            return _Draft(window, solution, plan, routes)
        self._ids += 1
        plan_id = plan_id_of(self._epoch, self._ids)
        return _Draft(
            window=window,
            solution=solution,
            plan=plan_message(plan_id, window, solution, now_s=now_s),
            routes=routes,
            parts=parts_of(plan_id, shares),
            replaced=self._packed(),
        )

    def _packed(self) -> bytes:
        plan = self.explained()
        return b"" if plan is None else packed(plan)

    def explained(self) -> Plan | None:
        """The plan in force with the newest step prices; None before the first."""
        if self.plan is None:
            return None
        explained = Plan()
        explained.CopyFrom(self.plan)
        explained.step_prices.extend(self._explainer.prices)
        explained.solve_ms += self._explainer.took_s * 1_000
        return explained

    def _publish(self, draft: _Draft, now_s: float) -> None:
        if draft.parts:
            if self.plan is not None:
                self.archive.add(self.plan.id, draft.replaced)
            self._publisher.publish_plan(draft.parts, plan_s=now_s, window_s=draft.window.window_s)
            self._routes = draft.routes
        else:
            self._publisher.confirm_plan(plan_s=now_s, window_s=draft.window.window_s)
        self._freeze_accounts(draft, now_s)
        add_promises(draft.plan, self._knowledge, now_s=now_s)
        self.plan = draft.plan
        self._explainer.tell(draft.window)

    def _freeze_accounts(self, draft: _Draft, now_s: float) -> None:
        """Debt does not grow while nothing could keep the floor.

        The floor as configured: one that an account raised out of reach is still paid back, slowly.
        """
        solution = draft.solution
        for g, group in enumerate(draft.window.configured.groups):
            account = self._knowledge.accounts.get((group.traffic_class, group.payer))
            if account is None or group.floor is None:
                continue
            short = solution.accuracy[g] < group.floor - FLOOR_TOLERANCE
            if short or solution.shed[g] > 0:
                account.freeze(now_s)

    def _failed(self, why: str) -> None:
        if self.plan is not None:
            self.plan.failure = why
