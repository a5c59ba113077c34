"""Attempts that are given up or failed, and whom else is asked, on a virtual clock."""

import asyncio
from collections import Counter

import pytest

from server.config.classes import ClassConfig
from server.config.models import CapacityConfig, ModelConfig
from server.dispatch.answers import Answer
from server.routing.errors import UpstreamFailed
from server.routing.retry_budget import ANSWERS_PER_FAILURE
from server.status_code import Code
from tests.server.dispatch.fleet import (
    BURST,
    SLO,
    Behaviour,
    answered,
    answers,
    fleet,
    hangs,
    raises,
    served,
)
from tests.server.routing.configs import config
from tests.server.virtual_loop import run


def test_whoever_is_given_up_is_asked_elsewhere_even_with_the_last_token() -> None:
    async def scene() -> None:
        models = [served("small", "s:1", "s:2")]
        given = fleet({"s:1": hangs, "s:2": answers()}, models, failures_max=10_000)
        found = await given.calls(300, every_s=0)
        failed = [str(one) for one in found if isinstance(one, UpstreamFailed)]
        assert len(failed) > BURST
        assert set(failed) == {"model small: too late"}  # at the deadline alone

    run(scene())


def test_an_attempt_that_was_given_up_is_booked_with_its_time_and_the_failure() -> None:
    async def scene() -> None:
        given = fleet({"s:1": hangs, "l:1": answers(0.1)})
        (answer,) = answered([await given.infer(10)])
        assert (answer.attempts, answer.target.model.name) == (2, "large")
        small, large = given.counts("small"), given.counts("large")
        assert (small.attempts, small.answered) == (1, 0)
        assert small.busy_s == pytest.approx(1.02, abs=0.03)  # the SLO, looked at in time
        assert small.cost_nano_usd == pytest.approx(1e6, rel=0.05)
        assert (small.completed, small.failed, small.slo_missed) == (1, 0, 1)
        assert (large.attempts, large.answered) == (1, 1)
        assert answer.cost_nano_usd == small.cost_nano_usd + large.cost_nano_usd

    run(scene())


def test_slowness_of_everything_does_not_become_a_storm_and_ejects_nobody() -> None:
    async def scene() -> None:
        behaviours = {"s:1": answers(0.1), "l:1": answers(0.1)}
        given = fleet(behaviours)
        await given.calls(100, every_s=0.1)
        given.asked.clear()
        behaviours.update({"s:1": answers(5), "l:1": answers(5)})
        found = await given.calls(2_000, every_s=0.1, deadline_s=30)
        assert len(answered(found)) == 2_000
        assert given.asked.total() <= 2_000 * (1 + 1 / ANSWERS_PER_FAILURE) + BURST
        assert given.asked["l:1"] > BURST / 2  # some were asked again
        assert given.ejected() == set()

    run(scene())


def test_without_a_token_an_attempt_may_take_all_the_time_that_is_left() -> None:
    async def scene() -> None:
        given = fleet({"s:1": raises(Code.UNAVAILABLE), "l:1": answers()}, ejection_s=0.001)
        await given.calls(BURST + 10)
        given.behaviours["s:1"] = answers(8)
        (answer,) = answered([await given.infer(10)])
        assert answer.attempts == 1
        assert answer.latency_s == pytest.approx(8)

    run(scene())


def test_a_model_is_asked_again_elsewhere_only_within_its_budget() -> None:
    async def scene() -> None:
        busy = raises(Code.RESOURCE_EXHAUSTED)
        given = fleet({"s:1": busy, "s:2": busy}, [served("small", "s:1", "s:2")])
        await given.calls(1_000)
        assert given.asked.total() <= 1_000 + BURST

    run(scene())


@pytest.mark.parametrize("code", [Code.RESOURCE_EXHAUSTED, Code.ABORTED])
def test_where_all_models_are_busy_a_request_does_not_become_two(code: Code) -> None:
    async def scene() -> None:
        given = fleet({"s:1": raises(code), "l:1": raises(code)})
        await given.calls(1_000)
        assert given.asked.total() <= 1_000 + BURST

    run(scene())


def test_what_a_busy_model_refuses_goes_to_one_that_is_not() -> None:
    async def scene() -> None:
        given = fleet({"s:1": raises(Code.RESOURCE_EXHAUSTED), "l:1": answers()})
        assert len(answered(await given.calls(1_000))) == 1_000

    run(scene())


def scarce(name: str, *endpoints: str, concurrent: int = 1) -> ModelConfig:
    """Has so many calls in flight at most."""
    return served(name, *endpoints).model_copy(
        update={"capacity": CapacityConfig(concurrent=concurrent)}
    )


def test_of_many_that_are_late_together_as_many_are_given_up_as_another_can_take() -> None:
    async def scene() -> None:
        models = [served("small", "s:1"), scarce("large", "l:1")]
        given = fleet({"s:1": answers(1.5), "l:1": answers(0.3)}, models)
        found = answered(await given.calls(20, every_s=0))
        assert Counter(one.target.endpoint for one in found) == {"s:1": 19, "l:1": 1}
        assert (given.counts("small").completed, given.counts("small").failed) == (20, 0)

    run(scene())


async def hangs_until_its_caller_leaves_as_it_is_given_up() -> bytes:
    try:
        return await hangs()
    finally:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()


def test_what_was_reserved_for_a_caller_that_leaves_is_free_again() -> None:
    async def scene() -> None:
        models = [served("small", "s:1"), scarce("large", "l:1")]
        behaviours = {"s:1": hangs_until_its_caller_leaves_as_it_is_given_up, "l:1": answers()}
        given = fleet(behaviours, models)
        await asyncio.wait([asyncio.create_task(given.infer(10))])
        assert given.counts("small").busy_s == pytest.approx(1.02, abs=0.03)
        assert (given.asked["l:1"], given.router.slices.full) == (0, 0)
        assert [load.in_flight for load in given.router.endpoints.loads.values()] == [0, 0]

    run(scene())


@pytest.mark.parametrize("behaviour", [raises(Code.UNAVAILABLE, after_s=1.0), hangs])
@pytest.mark.parametrize("changes", [{"endpoints": ()}, {"enabled": False}])
def test_a_model_that_is_drained_or_emptied_while_a_call_is_out_is_not_asked_next(
    behaviour: Behaviour, changes: dict[str, object]
) -> None:
    async def scene() -> None:
        small, large = served("small", "s:1"), served("large", "l:1")
        given = fleet({"s:1": behaviour, "l:1": answers()}, [small, large])
        task = asyncio.create_task(given.infer(10))
        await asyncio.sleep(0.5)
        classes = (ClassConfig(name="chat", default=True, slo=SLO),)
        given.router.configure(config(small, large.model_copy(update=changes), classes=classes))
        assert isinstance(await task, UpstreamFailed)
        assert given.asked == {"s:1": 1}

    run(scene())


def test_whoever_answers_when_its_endpoint_has_left_the_catalog_is_answered() -> None:
    async def scene() -> None:
        given = fleet({"s:1": hangs, "l:1": answers(0.5)})
        task = asyncio.create_task(given.infer(10))
        await asyncio.sleep(1.2)  # large is asked by now
        given.router.configure(config(served("small", "s:1")))
        assert isinstance(await task, Answer)
        assert given.asked == {"s:1": 1, "l:1": 1}

    run(scene())
