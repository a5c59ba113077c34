"""The acts: each changes the running service, and waits for the plan that follows."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks.chat.asking import BROKEN
from benchmarks.chat.configuration import BUDGET, FLOORS, QUIZ
from benchmarks.chat.models import BARE, cost_nano_usd
from benchmarks.chat.servers import LanguageServers
from benchmarks.demo.load import Served
from benchmarks.demo.operator import raise_floor
from benchmarks.demo.promises import cost_ratio
from benchmarks.demo.stage import Act, PromiseBroken, Stage, share_of
from turnout.v1 import admin_pb2 as pb

_RAISED_FLOOR = 0.64
_WATCHED_S = 30.0
_CONFIDENCE = 0.95
# What a stream that broke may have cost: more than any question here.
_BROKEN_NANO_USD_MAX = cost_nano_usd(400, 16)


@dataclass(slots=True, kw_only=True)
class ChatStage(Stage):
    """What an act of this show may touch."""

    servers: LanguageServers
    killed_s: float = math.inf  # of the schedule: then a server went


async def find_the_mix(stage: ChatStage) -> None:
    await stage.plans.until(
        lambda plan: {one.traffic_class for one in plan.classes} >= FLOORS.keys(), "a plan"
    )


async def raise_a_floor(stage: ChatStage) -> None:
    await raise_floor(stage, QUIZ, _RAISED_FLOOR)


async def kill_a_server(stage: ChatStage) -> None:
    stage.servers.kill(BARE)
    stage.killed_s = stage.load.now_s()
    await stage.plans.until(lambda plan: share_of(plan, BARE) == 0, f"the plan does without {BARE}")


def broke_with_its_server(stage: ChatStage, one: Served) -> bool:
    """It was being answered when the server was killed: half an answer is told as that."""
    return one.failure.startswith(BROKEN) and one.arrival.due_s <= stage.killed_s < math.inf


def _act(title: str, change: Callable[[ChatStage], Awaitable[None]]) -> Act[ChatStage]:
    """An act has too few questions to show by itself what is saved: both of a mix have to."""
    excuses = broke_with_its_server
    return Act(title, change, _WATCHED_S, cheaper=False, excuses=excuses)


ACTS: Sequence[Act[ChatStage]] = (
    _act("1: the plan finds a cheaper mix than always-best", find_the_mix),
    _act(f"2: the floor of {QUIZ} rises to {_RAISED_FLOOR:.0%}", raise_a_floor),
    _act(f"3: the server of {BARE} is killed while it answers", kill_a_server),
)


async def broken_at_last(stage: ChatStage) -> tuple[str, ...]:
    """What is promised of the whole show and did not hold."""
    checks = (
        (not _is_cheaper(stage), "until a server is killed, the mix is cheaper than always-best"),
        (not await _is_accounted(stage), "the budget has spent what the answers' usage comes to"),
    )
    return tuple(promise for is_broken, promise in checks if is_broken)


def _is_cheaper(stage: ChatStage) -> bool:
    served = (one for one in stage.load.served if one.arrival.due_s <= stage.killed_s)
    answered = [one for one in served if one.answer]
    best = [stage.always.best_cost_nano_usd(one.arrival.item) for one in answered]
    return cost_ratio([one.cost_nano_usd for one in answered], best, _CONFIDENCE).high < 1


async def _is_accounted(stage: ChatStage) -> bool:
    """Once the last counts have arrived."""
    least = sum(one.cost_nano_usd for one in stage.load.served)
    broken = sum(one.failure.startswith(BROKEN) for one in stage.load.served)
    most = least + broken * _BROKEN_NANO_USD_MAX
    following = asyncio.create_task(stage.plans.follow())
    try:
        await stage.plans.until(lambda plan: least <= _spent_nano_usd(plan) <= most, "the account")
    except PromiseBroken:
        return False
    finally:
        following.cancel()
    return True


def _spent_nano_usd(plan: pb.Plan) -> int:
    return sum(one.spent_nano_usd for one in plan.budgets if one.name == BUDGET)
