"""Callers whose deadlines are far shorter than their requests take, beside others: a model that
answers is never taken from the others, and these are answered.
"""

import asyncio

import pytest

from server.routing.selector import WeightTable
from server.status_code import Code
from tests.server.dispatch.fleet import (
    LONG,
    Fleet,
    answered,
    answers,
    fleet,
    hangs,
    raises,
    served,
)
from tests.server.virtual_loop import run

SHORT_S = 0.25
MODELS = [served("small", "s:1"), served("large", "l:1"), served("wild", "w:1")]
HALVES = ((0, 0.5, 1_000), (1, 0.5, 1_000))


def beside_wild(ejection_s: float = 10) -> Fleet:
    """Two models that answer, and one that never ends an answer and is in no plan."""
    behaviours = {"s:1": answers(0.01), "l:1": answers(0.01), "w:1": hangs}
    given = fleet(behaviours, MODELS, slo=None, ejection_s=ejection_s, others=["stray"])
    given.router.publish(WeightTable("p2", {}, {"chat": HALVES, "stray": HALVES}))
    return given


async def stray(given: Fleet, count: int, every_s: float = 0.1) -> None:
    """Never answered in time."""
    late = await given.calls(
        count, every_s=every_s, deadline_s=SHORT_S, traffic_class="stray", request=LONG
    )
    assert answered(late) == []


async def ever_ejected(given: Fleet, seconds: int) -> set[str]:
    found: set[str] = set()
    for _ in range(10 * seconds):
        found |= given.ejected()
        await asyncio.sleep(0.1)
    return found


@pytest.mark.parametrize("quick_before", [0, 40])
@pytest.mark.parametrize("every_s", [0.5, 1.0])
def test_a_class_that_is_only_cut_short_takes_no_endpoint_from_others(
    every_s: float, quick_before: int
) -> None:
    async def scene() -> None:
        given = beside_wild()
        await given.calls(40, every_s=0.01)
        await given.calls(quick_before, every_s=0.01, traffic_class="stray")
        honest, _, ejected = await asyncio.gather(
            given.calls(round(180 / every_s), every_s=every_s, deadline_s=20),
            stray(given, 1_800),
            ever_ejected(given, 180),
        )
        assert len(answered(honest)) == len(honest)
        assert ejected <= {"w:1"}
        assert {one.target.endpoint for one in answered(honest)} == {"s:1", "l:1"}

    run(scene())


def test_a_class_that_is_only_cut_short_ejects_nobody_while_no_other_asks() -> None:
    async def scene() -> None:
        given = beside_wild()
        await given.calls(40, every_s=0.01)
        await stray(given, 1_800)
        assert given.ejected() == set()

    run(scene())


def test_whom_a_quicker_model_outdoes_for_hasty_callers_is_not_ejected() -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(5), "l:1": answers(0.05)}, slo=None)
        found = await given.calls(40, deadline_s=SHORT_S)
        assert {one.target.endpoint for one in answered(found)} == {"l:1"}
        assert given.ejected() == set()

    run(scene())


def test_a_class_that_is_only_cut_short_leaves_others_what_they_ask_again() -> None:
    async def scene() -> None:
        given = beside_wild(ejection_s=3_600)
        await asyncio.gather(given.calls(100, deadline_s=20), stray(given, 1_000))
        given.behaviours["s:1"] = hangs
        honest = await given.calls(20, every_s=0.01, deadline_s=20)
        assert len(answered(honest)) == 20

    run(scene())


@pytest.mark.parametrize("code", [None, Code.UNAVAILABLE])
def test_an_endpoint_that_answers_nobody_any_more_is_ejected_beside_hasty_callers(
    code: Code | None,
) -> None:
    async def scene() -> None:
        given = beside_wild(ejection_s=3_600)
        await given.calls(40, every_s=0.1)
        given.behaviours["s:1"] = hangs if code is None else raises(code)
        honest, _ = await asyncio.gather(
            given.calls(60, deadline_s=20, every_s=0.5), stray(given, 300)
        )
        assert len(answered(honest)) == 60
        assert given.ejected() == {"s:1"}

    run(scene())


def test_the_only_endpoint_is_ejected_soon_after_it_answers_nobody_any_more() -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(0.01)}, [served("small", "s:1")], slo=None)
        await given.calls(40, every_s=0.1, deadline_s=0.5)
        given.behaviours["s:1"] = hangs
        await given.calls(80, every_s=0.1, deadline_s=0.5)
        assert given.ejected() == set()
        await given.calls(40, every_s=0.1, deadline_s=0.5)
        assert given.ejected() == {"s:1"}

    run(scene())


def eject(given: Fleet, index: int, address: str) -> None:
    now_s = asyncio.get_running_loop().time()
    while address not in given.ejected():
        given.router.health.record_failure((index, address), sent_s=now_s, now_s=now_s)


def test_who_waits_at_a_model_that_never_answered_is_answered_by_one_that_is_ejected() -> None:
    async def scene() -> None:
        given = beside_wild(ejection_s=3_600)
        await given.calls(40, every_s=0.01)
        eject(given, 0, "s:1")
        eject(given, 1, "l:1")
        given.asked.clear()
        honest = await given.calls(100, every_s=0.2, deadline_s=20)
        assert len(answered(honest)) == 100
        assert given.ejected() == {"l:1", "w:1"}  # and nobody had to ask large
        assert given.asked.total() <= 200

    run(scene())


@pytest.mark.parametrize(("failures", "took_s"), [(0, 0.5), (1, 5.0)])
def test_whoever_answered_of_late_is_not_left_for_one_that_never_did(
    failures: int, took_s: float
) -> None:
    async def scene() -> None:
        given = beside_wild(ejection_s=3_600)
        await given.calls(40, every_s=0.01)
        eject(given, 1, "l:1")
        for _ in range(failures):
            given.router.health.record_failure((2, "w:1"), sent_s=2_000, now_s=2_000)
        given.behaviours["s:1"] = answers(took_s)
        assert len(answered(await given.calls(5, deadline_s=20))) == 5
        assert given.asked["w:1"] == 0

    run(scene())


def test_the_last_chance_is_one_that_is_ejected_rather_than_one_that_never_answered() -> None:
    async def scene() -> None:
        given = beside_wild(ejection_s=3_600)
        await given.calls(40, every_s=0.01)
        eject(given, 1, "l:1")
        given.router.health.record_failure((2, "w:1"), sent_s=2_000, now_s=2_000)
        given.behaviours["s:1"] = raises(Code.UNAVAILABLE)
        assert len(answered(await given.calls(3))) == 3
        assert (given.asked["w:1"], given.ejected()) == (0, set())

    run(scene())
