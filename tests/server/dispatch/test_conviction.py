"""Endpoints that fail, hang or are slow, from the request to the ejection, on a virtual clock."""

import asyncio
from collections import Counter

import pytest

from server.config.classes import SloConfig
from server.dispatch.answers import Answer
from server.status_code import Code
from tests.server.dispatch.fleet import (
    BURST,
    LONG,
    ODD,
    SLO,
    answered,
    answers,
    fleet,
    hangs,
    raises,
    served,
)
from tests.server.virtual_loop import run


@pytest.mark.parametrize("code", [Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS])
def test_an_endpoint_that_raises_on_every_call_is_ejected_and_no_caller_hears_of_it(
    code: Code,
) -> None:
    async def scene() -> None:
        given = fleet({"s:1": raises(code), "l:1": answers()})
        assert len(answered(await given.calls(100))) == 100
        assert given.ejected() == {"s:1"}
        assert given.asked["s:1"] == 5

    run(scene())


def test_of_one_model_the_endpoint_that_raises_is_ejected_and_another_answers() -> None:
    async def scene() -> None:
        behaviours = {"s:1": raises(Code.INTERNAL), "s:2": answers(), "s:3": answers()}
        given = fleet(behaviours, [served("small", "s:1", "s:2", "s:3")])
        assert len(answered(await given.calls(100))) == 100
        assert given.ejected() == {"s:1"}

    run(scene())


@pytest.mark.parametrize("slo", [SLO, None])
def test_an_endpoint_that_hangs_is_ejected_and_callers_are_answered_by_another_in_time(
    slo: SloConfig | None,
) -> None:
    async def scene() -> None:
        given = fleet({"s:1": hangs, "l:1": answers()}, slo=slo)
        found = answered(await given.calls(100, deadline_s=10))
        assert len(found) == 100
        assert max(answer.latency_s for answer in found) < 10
        assert given.ejected() == {"s:1"}

    run(scene())


def test_what_waits_at_an_endpoint_that_hangs_goes_elsewhere_once_it_is_ejected() -> None:
    async def scene() -> None:
        given = fleet({"s:1": hangs, "l:1": answers()})
        found = await given.calls(1_000, every_s=0.001)
        assert given.asked["s:1"] > 2 * BURST
        assert len(answered(found)) == 1_000

    run(scene())


def test_of_one_model_callers_are_answered_by_the_endpoints_that_do_not_hang() -> None:
    async def scene() -> None:
        behaviours = {"s:1": hangs, "s:2": answers(), "s:3": answers()}
        given = fleet(behaviours, [served("small", "s:1", "s:2", "s:3")])
        assert len(answered(await given.calls(500, every_s=0.05))) == 500
        assert given.ejected() == {"s:1"}

    run(scene())


@pytest.mark.parametrize("early_s", [0.0, 0.002, 0.008])
def test_every_call_that_its_caller_left_at_its_deadline_is_counted_as_failed(
    early_s: float,
) -> None:
    async def scene() -> None:
        given = fleet({"s:1": hangs}, [served("small", "s:1")])
        tasks = [asyncio.create_task(given.infer(2)) for _ in range(2_000)]
        await asyncio.sleep(2 - early_s)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        counts = given.counts("small")
        assert (counts.completed, counts.failed, counts.slo_missed) == (2_000, 2_000, 2_000)
        assert given.ejected() == {"s:1"}

    run(scene())


def test_a_caller_that_leaves_early_says_nothing_of_the_endpoint() -> None:
    async def scene() -> None:
        given = fleet({"s:1": hangs}, [served("small", "s:1")], slo=None)
        for _ in range(20):
            task = asyncio.create_task(given.infer(10))
            await asyncio.sleep(8.5)
            task.cancel()
            await asyncio.wait([task])
        counts = given.counts("small")
        assert (counts.ended, counts.completed, counts.attempts) == (20, 0, 20)
        assert given.ejected() == set()

    run(scene())


def test_deadlines_that_are_short_for_a_model_say_nothing_of_it() -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(2)}, [served("small", "s:1")], slo=None)
        await given.calls(50)
        await asyncio.sleep(100)
        hasty = await given.calls(50, deadline_s=0.5)
        assert answered(hasty) == []
        assert given.ejected() == set()

    run(scene())


def test_whoever_never_answers_gives_way_to_those_that_are_ejected() -> None:
    async def scene() -> None:
        behaviours = {"s:1": raises(Code.UNAVAILABLE), "l:1": hangs}
        given = fleet(behaviours, slo=None)
        await given.calls(10, deadline_s=20)
        behaviours["s:1"] = answers()
        await given.calls(10, every_s=25, deadline_s=20)
        assert isinstance(await given.infer(20), Answer)
        assert given.ejected() == {"l:1"}

    run(scene())


@pytest.mark.parametrize("slo", [SLO, None])
def test_before_a_model_is_known_short_deadlines_say_nothing_of_it(slo: SloConfig | None) -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(2)}, [served("small", "s:1")], slo=slo)
        await given.calls(20, deadline_s=0.08)
        assert given.ejected() == set()

    run(scene())


def test_a_class_of_short_deadlines_takes_no_endpoint_from_another() -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(2), "l:1": answers(2)}, slo=None, others=["hasty"])
        patient, hasty = await asyncio.gather(
            given.calls(100, deadline_s=30),
            given.calls(500, every_s=0.2, deadline_s=0.08, traffic_class="hasty"),
        )
        assert {one.target.endpoint for one in answered(patient)} == {"s:1"}
        assert (len(answered(patient)), answered(hasty)) == (100, [])
        assert given.ejected() == set()

    run(scene())


def test_long_requests_cut_short_take_no_endpoint_from_quick_ones_of_their_class() -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(0.005)}, [served("small", "s:1")], slo=None)
        quick, _ = await asyncio.gather(
            given.calls(600, every_s=0.1),
            given.calls(200, every_s=0.3, deadline_s=0.25, request=LONG),
        )
        assert len(answered(quick)) == 600
        alone = await given.calls(20, every_s=0.3, deadline_s=0.25, request=LONG)
        assert (answered(alone), given.ejected()) == ([], set())

    run(scene())


@pytest.mark.parametrize("deadline_s", [0.01, 0.03, 0.05])
def test_a_quick_models_endpoint_that_hangs_is_ejected_however_short_deadlines_are(
    deadline_s: float,
) -> None:
    async def scene() -> None:
        behaviours = {"s:1": answers(0.002), "s:2": answers(0.002)}
        given = fleet(
            behaviours, [served("small", "s:1", "s:2")], slo=SloConfig(ms=20, fraction=0.9)
        )
        await given.calls(200, every_s=0.01, deadline_s=deadline_s)
        behaviours["s:1"] = hangs
        found = await given.calls(1_000, every_s=0.01, deadline_s=deadline_s)
        assert len(answered(found)) >= 980
        assert given.ejected() == {"s:1"}

    run(scene())


def test_a_quick_models_endpoint_that_pauses_is_not_ejected() -> None:
    async def scene() -> None:
        behaviours = {"s:1": answers(0.002)}
        given = fleet(behaviours, [served("small", "s:1")])
        await given.calls(100, every_s=0.01, deadline_s=0.01)
        behaviours["s:1"] = answers(0.04)
        late = await given.calls(40, every_s=0.001, deadline_s=0.01)
        assert answered(late) == []
        assert given.ejected() == set()

    run(scene())


def test_a_model_that_is_slow_for_one_classs_slo_still_answers_a_class_that_is_content() -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(2), "l:1": answers(0.3)}, others=["batch"], ejection_s=10)
        content, _ = await asyncio.gather(
            given.calls(200, deadline_s=30, traffic_class="batch"), given.calls(1_000, every_s=0.2)
        )
        by = Counter(one.target.endpoint for one in answered(content))
        assert by["s:1"] >= 190
        assert given.ejected() == set()

    run(scene())


@pytest.mark.parametrize("code", [Code.UNKNOWN, Code.INTERNAL, Code.INVALID_ARGUMENT])
def test_a_callers_garbage_that_is_refused_everywhere_convicts_nobody(code: Code) -> None:
    async def scene() -> None:
        given = fleet({"s:1": raises(code), "l:1": raises(code)})
        assert answered(await given.calls(100)) == []
        assert given.ejected() == set()

    run(scene())


def test_what_one_model_cannot_read_and_another_can_takes_no_endpoint_from_others() -> None:
    async def scene() -> None:
        given = fleet({"s:1": answers(), "l:1": answers()})
        for _ in range(50):
            good = await given.infer()
            assert isinstance(good, Answer)
            assert good.target.endpoint == "s:1"
            odd = [await given.infer(request=ODD) for _ in range(7)]
            assert [one.target.endpoint for one in answered(odd)] == ["l:1"] * 7
        assert given.ejected() == set()

    run(scene())


def test_an_endpoint_that_was_well_and_now_raises_at_everything_is_ejected() -> None:
    async def scene() -> None:
        behaviours = {"s:1": answers(), "l:1": answers()}
        given = fleet(behaviours)
        await given.calls(30)
        behaviours["s:1"] = raises(Code.INTERNAL)
        assert len(answered(await given.calls(30))) == 30
        assert given.ejected() == {"s:1"}

    run(scene())


def test_where_every_endpoint_was_ejected_one_is_asked_all_the_same() -> None:
    async def scene() -> None:
        behaviours = {"s:1": hangs, "l:1": raises(Code.UNAVAILABLE)}
        given = fleet(behaviours)
        await given.calls(20)
        assert given.ejected() == {"s:1", "l:1"}
        behaviours.update({"s:1": answers(), "l:1": answers()})
        assert len(answered(await given.calls(20))) == 20
        assert given.ejected() == {"l:1"}

    run(scene())
