"""Attempts that take long are looked at, and ended where another may do better."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from server.dispatch.exchange import TENSORS, Asked
from server.dispatch.overtime import ENDED_AT_ONCE, LOOK_EVERY_S, Overtime, Trip
from server.routing.decision import Decision
from server.routing.journey import Journey
from tests.server.virtual_loop import run

NOTHING = Asked(b"", TENSORS)
LATE_S = 2 * LOOK_EVERY_S  # a look is at most so late, or two, for there are two


@dataclass(slots=True)
class Scene:
    """Trips whose attempts have so long, and may be given up or not."""

    own_s: float | None = 1.0
    gives_up: bool = True
    looked_at: list[float] = field(default_factory=list)
    asked_s: list[float] = field(default_factory=list)
    on_ask: Callable[[], object] = bool
    overtime: Overtime = field(init=False)

    def __post_init__(self) -> None:
        self.overtime = Overtime(self._wait_s, self._gives_up)

    def _wait_s(self, trip: Trip) -> float | None:
        self.looked_at.append(asyncio.get_running_loop().time())
        trip.own_s = self.own_s or 0.0
        return self.own_s

    def _gives_up(self, trip: Trip) -> bool:
        self.asked_s.append(asyncio.get_running_loop().time())
        self.on_ask()
        return self.gives_up

    async def go(self, seconds: float) -> bool:
        """One attempt that takes so long; whether it came to its end."""
        task = asyncio.current_task()
        assert task is not None
        trip = Trip(cast("Decision", None), NOTHING, (), cast("Journey", None), task)
        self.overtime.sent(trip)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if not self.overtime.was_given_up(trip):
                raise
            return False
        finally:
            self.overtime.back(trip)
        return True


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_an_attempt_that_is_quicker_than_the_looks_is_never_looked_at() -> None:
    async def scene() -> None:
        given = Scene()
        assert await given.go(0.7 * LOOK_EVERY_S)
        assert await given.go(0.9 * LOOK_EVERY_S)  # and one look is in between
        await asyncio.sleep(10)
        assert (given.looked_at, given.asked_s) == ([], [])

    run(scene())


def test_one_that_has_had_its_time_is_ended_soon_after() -> None:
    async def scene() -> None:
        given, begun_s = Scene(own_s=1.0), now_s()
        assert not await given.go(100)
        assert 1.0 <= now_s() - begun_s <= 1.0 + 2 * LATE_S
        assert asyncio.current_task() is not None
        await asyncio.sleep(1)  # its task goes on as ever

    run(scene())


def test_one_that_may_not_be_given_up_yet_is_asked_for_again_after_as_long() -> None:
    async def scene() -> None:
        given, begun_s = Scene(own_s=1.0, gives_up=False), now_s()
        assert await given.go(3.5)
        after_s = [asked_s - begun_s for asked_s in given.asked_s]
        assert [round(seconds) for seconds in after_s] == [1, 2, 3]

    run(scene())


def test_one_that_may_take_as_long_as_it_likes_is_not_asked_for() -> None:
    async def scene() -> None:
        given = Scene(own_s=None)
        assert await given.go(100)
        assert (len(given.looked_at), given.asked_s) == (1, [])

    run(scene())


def test_many_are_looked_at_by_one_timer_that_ends_with_them() -> None:
    given = Scene(own_s=1.0)

    async def scene() -> None:
        ended = await asyncio.gather(*[given.go(0.5) for _ in range(100)])
        assert ended == [True] * 100
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="no timer is set"):
        run(scene())
    assert len(given.looked_at) == 100
    assert len(set(given.looked_at)) == 1


def test_a_caller_that_leaves_is_not_taken_for_one_that_is_given_up() -> None:
    async def scene() -> None:
        given = Scene(own_s=1.0)
        task = asyncio.create_task(given.go(100))
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    run(scene())


def test_a_caller_that_leaves_as_the_attempt_is_given_up_has_left() -> None:
    async def scene() -> None:
        given = Scene(own_s=1.0)
        task = asyncio.create_task(given.go(100))
        given.on_ask = task.cancel
        await asyncio.wait([task])
        assert task.cancelled()
        assert len(given.asked_s) == 1

    run(scene())


def test_many_that_are_due_together_leave_the_loop_to_others_in_between() -> None:
    async def scene() -> None:
        count = 10 * ENDED_AT_ONCE
        given, loop, turns = Scene(own_s=1.0), asyncio.get_running_loop(), Counter[int]()
        turn = 0

        def next_turn() -> None:
            nonlocal turn
            turn += 1
            if len(given.asked_s) < count:
                loop.call_soon(next_turn)

        def on_ask() -> None:
            if not turns:
                loop.call_soon(next_turn)
            turns[turn] += 1

        given.on_ask = on_ask
        ended = await asyncio.gather(*[given.go(100) for _ in range(count)])
        assert ended == [False] * count
        assert set(turns.values()) == {ENDED_AT_ONCE}
        assert len(set(given.asked_s)) == 1  # and yet nobody waits for another look

    run(scene())
