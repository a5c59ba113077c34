from collections import Counter
from typing import cast

from structlog.testing import capture_logs

from server.app.plan_age import PlanAge
from server.app.pusher import Pusher
from server.control.client import Confirmed, ControlClient
from server.routing.counters import Counters
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from turnout.v1.control_pb2 import PushStatsRequest

FIRST, SECOND = Confirmed(100.0, 5.0), Confirmed(105.0, 5.0)


def test_before_the_first_plan_there_is_no_age_and_nothing_is_late() -> None:
    plan_age = PlanAge()
    assert plan_age.look(None, now_s=1_000.0) is None
    assert plan_age.look(None, now_s=9_000.0) is None
    assert plan_age.age_s(now_s=9_000.0) is None


def test_a_plan_ages_until_it_is_confirmed() -> None:
    plan_age = PlanAge()
    plan_age.look(FIRST, now_s=101.0)
    assert plan_age.age_s(now_s=104.0) == 4.0
    plan_age.look(SECOND, now_s=106.0)
    assert plan_age.age_s(now_s=106.0) == 1.0


def test_a_clock_that_is_behind_makes_no_age_below_0() -> None:
    plan_age = PlanAge()
    plan_age.look(FIRST, now_s=99.0)
    assert plan_age.age_s(now_s=99.0) == 0.0


def test_three_windows_without_a_word_are_told_once_and_so_is_the_next_word() -> None:
    plan_age = PlanAge()
    looks = [
        plan_age.look(confirmed, now_s=now_s)
        for confirmed, now_s in [
            (FIRST, 101.0),
            (FIRST, 116.0),
            (FIRST, 116.1),
            (FIRST, 120.0),
            (SECOND, 121.0),
            (SECOND, 122.0),
            (SECOND, 136.1),
        ]
    ]
    assert looks == [None, None, "late", None, "confirmed", None, "late"]


def test_windows_of_a_moment_are_not_late_at_once() -> None:
    plan_age = PlanAge()
    plan_age.look(Confirmed(100.0, 0.01), now_s=100.0)
    assert plan_age.look(Confirmed(100.0, 0.01), now_s=100.9) is None


class Control:
    """A control plane that takes every push."""

    def __init__(self) -> None:
        self.confirmed: Confirmed | None = None
        self.pushes: list[PushStatsRequest] = []

    async def push(self, request: PushStatsRequest) -> None:
        self.pushes.append(request)


class Told:
    """A worker whose clock is set, and what it told of its plan."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.control = Control()
        counters = Counters()
        self.router = Router(
            Selector(), Sealer(bytes(KEY_BYTES), boot=1), counters, chance=lambda: 0.5
        )
        self.pusher = Pusher(self.router, counters, None, Counter, now_s=lambda: self.now_s)

    async def at(self, now_s: float) -> PushStatsRequest:
        self.now_s = now_s
        await self.pusher.push(cast("ControlClient", self.control))
        return self.control.pushes[-1]


async def test_each_push_tells_the_plan_and_its_age() -> None:
    told = Told()
    before = await told.at(100.0)
    assert (before.plan_id, before.HasField("plan_age_s")) == ("", False)
    told.router.publish(WeightTable("p1", {}, {}))
    told.control.confirmed = FIRST
    after = await told.at(103.0)
    assert (after.plan_id, after.plan_age_s) == ("p1", 3.0)


async def test_the_log_says_once_that_nobody_stands_by_the_plan() -> None:
    told = Told()
    told.router.publish(WeightTable("p1", {}, {}))
    told.control.confirmed = FIRST
    with capture_logs() as logs:
        for now_s in (101.0, 110.0, 117.0, 120.0):
            await told.at(now_s)
        told.control.confirmed = SECOND
        await told.at(121.0)
    assert [(log["event"], log["plan_id"]) for log in logs] == [
        ("plan not confirmed", "p1"),
        ("plan confirmed again", "p1"),
    ]
