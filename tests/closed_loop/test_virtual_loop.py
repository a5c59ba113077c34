"""The clock that the closed loop runs by."""

import asyncio

import pytest

from tests.closed_loop.virtual_loop import NothingLeftToHappen, run


async def _week() -> float:
    await asyncio.sleep(7 * 86_400)
    return asyncio.get_running_loop().time()


def test_a_week_is_over_at_once() -> None:
    assert run(_week) == 7 * 86_400


async def _in_turn() -> list[tuple[str, float]]:
    said: list[tuple[str, float]] = []

    async def say(name: str, *after_s: float) -> None:
        for wait_s in after_s:
            await asyncio.sleep(wait_s)
            said.append((name, asyncio.get_running_loop().time()))

    await asyncio.gather(say("a", 1.0, 0.25), say("b", 0.5, 0.5))
    return said


def test_timers_ring_in_their_order_at_their_time() -> None:
    assert run(_in_turn) == [("b", 0.5), ("a", 1.0), ("b", 1.0), ("a", 1.25)]


async def _thread() -> tuple[int, float]:
    return await asyncio.to_thread(lambda: 7), asyncio.get_running_loop().time()


def test_what_would_run_in_a_thread_takes_no_time() -> None:
    assert run(_thread) == (7, 0.0)


async def _failing_thread() -> None:
    await asyncio.to_thread(lambda: 1 // 0)


def test_what_fails_in_a_thread_fails_whoever_awaits_it() -> None:
    with pytest.raises(ZeroDivisionError):
        run(_failing_thread)


async def _forever() -> None:
    await asyncio.Event().wait()


def test_a_wait_for_nobody_is_an_error_and_no_hang() -> None:
    with pytest.raises(NothingLeftToHappen):
        run(_forever)
