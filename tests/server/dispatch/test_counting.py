"""What is counted of an Infer: attempts, tokens, time, money, what was missed, what is out."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from server.config.models import PriceConfig
from server.dispatch.answers import Answer
from server.dispatch.exchange import CHAT, Asked, Reply
from server.latency_buckets import latency_bucket
from server.routing.catalog import NOMINAL_OUTPUT_TOKENS, PayloadKind
from server.routing.counters import Counts
from server.routing.query import Query
from server.routing.selector import CellKey, WeightTable
from server.status_code import Code
from server.token_usage import TokenUsage
from tests.server.dispatch.scene import CELL, CLASSES, HEALTH, LARGE, MODELS, SMALL, Scene, scene
from tests.server.routing.configs import config, model


async def test_a_success_is_counted_once_with_its_tokens_time_and_cost() -> None:
    given = scene()
    await given.infer(input_tokens=7)
    counts = given.counts("small")
    assert counts == Counts(
        decided=1,
        ended=1,
        completed=1,
        attempts=1,
        answered=1,
        input_tokens=7,
        busy_s=0.125,
        cost_nano_usd=126_000,
        latency_counts=counts.latency_counts,
    )
    assert counts.latency_counts[latency_bucket(0.125)] == sum(counts.latency_counts) == 1


async def test_a_retry_is_counted_for_the_model_that_ran_it_and_the_request_for_the_first() -> None:
    given = scene(small=Code.UNAVAILABLE)
    given.upstream.took_s = 0.25
    answer = await given.infer(input_tokens=7)
    first, second = given.counts("small"), given.counts("large", first="small")
    assert (first.decided, first.ended, first.completed, first.failed) == (1, 1, 1, 0)
    assert (first.attempts, first.answered) == (1, 0)
    assert (second.decided, second.ended, second.completed, second.failed) == (0, 0, 0, 0)
    assert (second.attempts, second.answered) == (1, 1)
    assert (first.input_tokens, second.input_tokens) == (0, 7)
    # What was not answered costs the time it held the model, and no request.
    assert (first.cost_nano_usd, second.cost_nano_usd) == (250_000, 1_002_000)
    assert answer.cost_nano_usd == 1_252_000
    assert first.latency_counts[latency_bucket(0.5)] == 1
    assert sum(second.latency_counts) == 0


async def test_a_request_that_is_its_callers_fault_says_nothing_of_the_model() -> None:
    given = scene(small=Code.INVALID_ARGUMENT)
    await given.fail()
    counts = given.counts("small")
    assert (counts.decided, counts.ended, counts.attempts, counts.answered) == (1, 1, 1, 0)
    assert (counts.completed, counts.failed, counts.slo_missed) == (0, 0, 0)


async def test_a_failed_request_is_counted_as_failed_and_missed() -> None:
    given = scene(small=Code.INTERNAL, large=Code.INTERNAL)
    await given.fail()
    counts = given.counts("small")
    assert (counts.completed, counts.failed, counts.slo_missed, counts.attempts) == (1, 1, 1, 1)
    assert sum(counts.latency_counts) == 1


@pytest.mark.parametrize(("took_s", "missed"), [(0.5, 0), (0.51, 1)])
async def test_an_answer_later_than_the_slo_is_counted_as_missed(
    took_s: float, missed: int
) -> None:
    given = scene()
    given.upstream.took_s = took_s
    await given.infer()
    assert given.counts("small").slo_missed == missed


async def test_the_time_of_all_attempts_counts_for_the_slo() -> None:
    given = scene(small=Code.UNAVAILABLE)
    given.upstream.took_s = 0.3
    await given.infer()
    assert given.counts("small").slo_missed == 1


async def test_every_endpoint_that_was_asked_counts_it() -> None:
    given = scene(small=Code.UNAVAILABLE)
    await given.infer()
    loads = given.router.endpoints.loads
    assert (loads[SMALL].attempts, loads[LARGE].attempts) == (1, 1)


async def test_nothing_is_in_flight_after_an_answer_or_a_failure() -> None:
    given = scene(small=Code.UNAVAILABLE)
    during: list[list[int]] = []
    given.upstream.on_ask = lambda: during.append(given.in_flight())
    await given.infer()
    assert during == [[1, 0, 0], [0, 1, 0]]
    assert given.in_flight() == [0, 0, 0]


async def test_a_cancelled_call_is_cancelled_upstream_and_counted_as_an_attempt() -> None:
    given = scene()
    given.upstream.hold = asyncio.Event()
    call = asyncio.create_task(given.infer())
    await given.upstream.reached.wait()
    assert given.in_flight() == [1, 0, 0]
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert given.in_flight() == [0, 0, 0]
    counts = given.counts("small")
    assert (counts.decided, counts.ended, counts.attempts, counts.completed) == (1, 1, 1, 0)
    assert not given.router.health.is_ejected(SMALL)


async def test_a_caller_that_gives_up_only_after_the_slo_was_made_to_wait_too_long() -> None:
    given = scene()
    given.upstream.hold = asyncio.Event()
    call = asyncio.create_task(given.infer())
    await given.upstream.reached.wait()
    given.upstream.now_s += 0.51
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    counts = given.counts("small")
    assert (counts.completed, counts.failed, counts.slo_missed) == (1, 0, 1)


async def test_a_bug_below_passes_through_and_leaves_nothing_in_flight() -> None:
    given = scene()

    def break_down() -> None:
        raise ZeroDivisionError

    given.upstream.on_ask = break_down
    with pytest.raises(ZeroDivisionError):
        await given.infer()
    assert given.in_flight() == [0, 0, 0]


PLAIN = Asked(b"{}", CHAT)
CHATTY = model("small", price=PriceConfig(input_usd_per_mtok=1.0, output_usd_per_mtok=10.0))


async def chat(
    told: TokenUsage | None,
    expected: Mapping[CellKey | str, Mapping[int, int]],
    asked: Asked = PLAIN,
) -> tuple[Scene, Answer]:
    """A whole chat that was answered, by a plan that expects so many tokens."""
    given = scene(small=Reply(b"hello", told))
    given.router.configure(config(CHATTY, *MODELS[1:], classes=CLASSES, health=HEALTH))
    shares = ((0, 1.0, 1_000),)
    given.router.publish(WeightTable("p1", {CELL: shares}, output_tokens=expected))
    query = Query(payload_kind=PayloadKind.TENSORS, input_tokens=7)
    return given, await given.dispatcher.infer(query, asked, timeout_s=10)


async def test_a_chat_is_charged_as_its_endpoint_tells() -> None:
    told = TokenUsage(input=5, output=20)
    given, answer = await chat(told, {CELL: {0: 300}})
    assert answer.counted == told
    assert answer.cost_nano_usd == 5_000 + 200_000
    assert given.counts("small").estimated == 0


@pytest.mark.parametrize(
    ("expected", "tokens"),
    [
        ({CELL: {0: 300}, "chat": {0: 100}}, 300),
        ({CELL: {1: 300}, "chat": {0: 100, 1: 200}}, 100),
        ({}, NOMINAL_OUTPUT_TOKENS),
    ],
)
async def test_a_chat_whose_endpoint_tells_nothing_is_charged_what_the_plan_expects(
    expected: Mapping[CellKey | str, Mapping[int, int]], tokens: int
) -> None:
    given, answer = await chat(None, expected)
    assert answer.counted == TokenUsage(input=7, output=tokens)
    assert answer.cost_nano_usd == 7_000 + tokens * 10_000
    counts = given.counts("small")
    assert (counts.estimated, counts.guessed, counts.output_tokens) == (1, 1, 0)
    assert counts.estimated_nano_usd == answer.cost_nano_usd


@pytest.mark.parametrize(
    ("limits", "tokens"),
    [
        ({"output_tokens_set": 50}, 50),
        ({"output_tokens_set": 50, "choices": 3}, 150),
        ({"output_tokens_set": 50, "output_tokens_max": 20}, 20),
        ({"output_tokens_max": 20, "choices": 2}, 40),
        ({"output_tokens_set": 500}, 300),
        ({"choices": 2}, 300),
    ],
)
async def test_no_more_is_expected_of_a_chat_than_it_lets_be_written(
    limits: dict[str, Any], tokens: int
) -> None:
    asked = PLAIN._replace(**limits)
    _, answer = await chat(None, {CELL: {0: 300}}, asked)
    assert answer.counted == TokenUsage(input=7, output=tokens)


async def test_tensors_are_no_tokens_that_an_endpoint_would_have_told() -> None:
    given = scene()
    answer = await given.infer(input_tokens=7)
    assert answer.counted == TokenUsage(input=7)
    assert given.counts("small").estimated == 0
