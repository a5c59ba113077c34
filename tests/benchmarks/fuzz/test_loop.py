"""The loop whose waiting takes no time."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from benchmarks.fuzz.loop import Idle, TurnLoop


@pytest.fixture
def loop() -> Iterator[TurnLoop]:
    made = TurnLoop()
    yield made
    made.run_until_complete(asyncio.sleep(0))
    made.close()


def test_an_hour_passes_at_once(loop: TurnLoop) -> None:
    began_s = loop.time()
    loop.run_until_complete(asyncio.sleep(3_600))
    assert loop.time() == pytest.approx(began_s + 3_600)


def test_timers_fire_in_their_order(loop: TurnLoop) -> None:
    fired: list[int] = []
    for seconds in (30, 10, 20):
        loop.call_later(seconds, fired.append, seconds)
    loop.run_until_complete(asyncio.sleep(60))
    assert fired == [10, 20, 30]


def test_the_clock_stands_still_while_a_thread_works(loop: TurnLoop) -> None:
    """Or whatever has a deadline would miss it."""
    went_on = threading.Event()

    async def work() -> bool:
        working = asyncio.to_thread(went_on.wait, 20)
        asyncio.get_running_loop().call_soon(went_on.set)
        return await asyncio.wait_for(working, 1e-9)

    assert loop.run_until_complete(work())


def test_who_waits_for_nobody_is_told(loop: TurnLoop) -> None:
    waiting = loop.create_future()
    with pytest.raises(Idle):
        loop.run_until_complete(waiting)


def test_an_error_that_nobody_took_is_noted(loop: TurnLoop) -> None:
    def fail() -> None:
        raise ValueError("gone")

    loop.call_soon(fail)
    loop.run_until_complete(asyncio.sleep(0))
    assert "ValueError('gone')" in loop.complaints[0]


def test_turns_are_measured_one_by_one(loop: TurnLoop) -> None:
    async def work() -> None:
        loop.begin()
        for _ in range(3):
            sum(range(100_000))
            await asyncio.sleep(0)
        loop.end()

    loop.run_until_complete(work())
    assert 0 < loop.longest_s < loop.total_s


def test_what_others_do_is_not_measured(loop: TurnLoop) -> None:
    async def work() -> float:
        loop.begin()
        with loop.beside():
            sum(range(1_000_000))
        measured_s = loop.total_s
        loop.end()
        sum(range(1_000_000))
        await asyncio.sleep(0)
        return measured_s

    alone_s = loop.run_until_complete(work())
    spent_s = loop.total_s
    loop.run_until_complete(asyncio.sleep(1))
    assert alone_s == 0
    assert loop.total_s == spent_s
