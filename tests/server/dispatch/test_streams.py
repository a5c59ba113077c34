"""An answer in pieces, seen through: who is asked, what the caller gets, and what is counted."""

import asyncio
import gc
import sys
from contextlib import suppress

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from server.config.classes import SloConfig
from server.dispatch.exchange import CHAT, Asked
from server.routing.catalog import PayloadKind
from server.routing.decision_id import KEY_BYTES, Kind, open_decision
from server.routing.errors import NoCandidate, StreamBroken, UpstreamFailed
from server.routing.patience import ANSWERS_MIN
from server.routing.query import Query
from server.status_code import Code
from server.token_usage import TokenUsage
from tests.server.dispatch.streamed import (
    DEADLINE_S,
    EVENT,
    LARGE,
    READ_TOKENS,
    Endpoint,
    Step,
    Streams,
    charge,
)
from tests.server.virtual_loop import run

SLO = SloConfig(ms=1_000, fraction=0.9)
SLOW: list[Step] = [0.5, EVENT] * 1_000
USAGE = TokenUsage(input=10, cached_input=20, output=30, reasoning=40)


def test_an_answer_is_passed_on_piece_by_piece_with_what_it_took() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([0.5, EVENT, 0.25, EVENT], usage=USAGE))
        read = await given.read()
        answer = read.began
        assert read.pieces == [EVENT, EVENT]
        assert (answer.target.model.name, answer.attempts, answer.usage) == ("small", 1, USAGE)
        assert answer.latency_s == pytest.approx(0.75)
        assert answer.cost_nano_usd == charge(read=30, written=70)
        opened = open_decision(bytes(KEY_BYTES), answer.decision_id, now_s=1_024)
        assert (opened.kind, opened.model) == (Kind.INFER, "small")
        counts = given.counts()
        assert (counts.attempts, counts.answered, counts.completed, counts.failed) == (1, 1, 1, 0)
        assert (counts.input_tokens, counts.output_tokens) == (30, 70)
        assert given.nothing_is_left()

    run(scene())


def test_the_first_piece_is_there_before_the_second_comes() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([EVENT, 10.0, EVENT]))
        began_s = asyncio.get_running_loop().time()
        assert (await given.read(most=1)).pieces == [EVENT]
        assert asyncio.get_running_loop().time() == began_s

    run(scene())


def test_tokens_that_the_endpoint_does_not_tell_are_those_that_were_seen() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([EVENT * 3, EVENT]))
        answer = (await given.read()).began
        assert answer.usage is None
        assert answer.counted == TokenUsage(input=READ_TOKENS, output=4)
        assert answer.cost_nano_usd == charge(written=4)
        assert given.counts().output_tokens == 4

    run(scene())


@pytest.mark.parametrize(
    "small",
    [
        Endpoint(refuses=Code.UNAVAILABLE),
        Endpoint([Code.UNAVAILABLE]),
        Endpoint([0.5, Code.INTERNAL]),
        Endpoint([]),
    ],
    ids=["refused", "cut before the first", "garbage before the first", "empty"],
)
def test_what_fails_before_the_first_piece_is_asked_of_another(small: Endpoint) -> None:
    async def scene() -> None:
        given = Streams(small)
        read = await given.read()
        assert (read.whole, read.error) == (EVENT * 2, None)
        assert (read.began.target.model.name, read.began.attempts) == ("large", 2)
        first, second = given.counts("small"), given.counts("large")
        assert (first.attempts, first.answered, first.cost_nano_usd) == (1, 0, 0)
        assert (second.attempts, second.answered) == (1, 1)
        assert (first.completed, first.failed) == (1, 0)
        assert given.is_ejected()
        assert given.nothing_is_left()

    run(scene())


def test_an_endpoint_that_hangs_before_the_first_piece_is_given_up_for_another() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([1_000.0, EVENT]), slo=SLO)
        read = await given.read()
        assert (read.began.target.model.name, read.began.attempts) == ("large", 2)
        assert read.began.latency_s < 2.0
        assert given.nothing_is_left()

    run(scene())


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.INTERNAL, Code.INVALID_ARGUMENT])
def test_a_stream_that_breaks_is_told_paid_for_and_missed_and_nobody_else_is_asked(
    code: Code,
) -> None:
    async def scene() -> None:
        given = Streams(Endpoint([EVENT, 0.1, EVENT, code]), slo=SLO)
        read = await given.read()
        assert isinstance(read.error, StreamBroken)
        assert (read.error.reason, read.error.code) == ("STREAM_BROKEN", code)
        assert (str(read.error), read.error.is_sent) == ("model small broke off: cut", True)
        assert read.pieces == [EVENT, EVENT]  # what came before is the caller's
        assert given.large.asked == 0
        counts = given.counts()
        assert (counts.attempts, counts.answered) == (1, 0)
        assert (counts.completed, counts.failed, counts.slo_missed) == (1, 1, 1)
        assert counts.cost_nano_usd == read.began.cost_nano_usd == charge(written=2)
        assert (counts.input_tokens, counts.output_tokens) == (READ_TOKENS, 2)
        assert given.is_ejected() is (code is not Code.INVALID_ARGUMENT)
        assert given.nothing_is_left()

    run(scene())


def test_a_failure_that_is_the_callers_is_the_callers_to_hear() -> None:
    async def scene() -> None:
        given = Streams(Endpoint(refuses=Code.INVALID_ARGUMENT))
        read = await given.read()
        assert isinstance(read.error, UpstreamFailed)
        assert read.error.reason == "UPSTREAM_INVALID_ARGUMENT"
        assert (given.large.asked, given.counts().completed) == (0, 0)

    run(scene())


def test_what_nobody_can_answer_asks_nobody() -> None:
    async def scene() -> None:
        given = Streams()
        query = Query(payload_kind=PayloadKind.TENSORS, capabilities=("magic",))
        with pytest.raises(NoCandidate):
            async with given.dispatcher.stream(query, Asked(b"", CHAT), timeout_s=1):
                pytest.fail("it began")
        assert (given.small.asked, given.counters.take_touched()) == (0, [])

    run(scene())


def test_an_endpoint_that_is_silent_for_longer_than_its_answers_take_is_ended() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([EVENT, 2.0, EVENT]))
        for _ in range(ANSWERS_MIN):
            await given.read()
        given.small.steps = [EVENT, 1.9, EVENT, 2.1, EVENT]  # the last comes too late
        read = await given.read()
        assert isinstance(read.error, StreamBroken)
        assert str(read.error) == "model small broke off: nothing came for 2 s"
        assert read.pieces == [EVENT, EVENT]
        assert read.began.latency_s == pytest.approx(3.9)
        assert given.counts().failed == 1
        assert given.is_ejected()
        assert given.nothing_is_left()

    run(scene())


def test_a_short_pause_is_no_silence_however_quick_its_answers_are() -> None:
    async def scene() -> None:
        given = Streams()
        for _ in range(ANSWERS_MIN):
            await given.read()
        given.small.steps = [EVENT, 0.9, EVENT]
        assert (await given.read()).error is None

    run(scene())


@pytest.mark.parametrize("timeout_s", [5.0, None])
def test_a_stream_is_ended_at_its_deadline_which_speaks_against_nobody(
    timeout_s: float | None,
) -> None:
    async def scene() -> None:
        given = Streams(Endpoint([EVENT, *SLOW]))
        read = await given.read(timeout_s=timeout_s)
        assert isinstance(read.error, StreamBroken)
        assert read.error.code is Code.DEADLINE_EXCEEDED
        assert read.began.latency_s == pytest.approx(timeout_s or DEADLINE_S, abs=0.05)
        assert (given.counts().failed, given.counts().slo_missed) == (1, 1)
        assert not given.is_ejected()
        assert given.nothing_is_left()

    run(scene())


def test_a_caller_that_leaves_ends_the_exchange_at_once_and_pays_for_what_came() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([EVENT, EVENT, *SLOW]), slo=SLO)
        read = await given.read(most=1)
        assert given.nothing_is_left()
        counts = given.counts()
        assert (counts.attempts, counts.answered, counts.completed, counts.failed) == (1, 0, 0, 0)
        assert counts.cost_nano_usd == read.began.cost_nano_usd == charge(written=2)
        assert not given.is_ejected()

    run(scene())


def test_a_caller_that_is_cancelled_before_the_first_piece_leaves_nothing() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([10.0, EVENT]))
        reading = asyncio.create_task(given.read())
        await asyncio.sleep(1)
        assert given.small.is_open == 1
        reading.cancel()
        await asyncio.wait([reading])
        assert given.nothing_is_left()
        assert (given.counts().attempts, given.counts().cost_nano_usd) == (1, 0)

    run(scene())


def test_long_streams_keep_an_endpoint_from_being_taken_for_silent() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([EVENT, 5.0, EVENT]))
        await given.read()
        assert given.router.health.was_heard((0, "s:1"), since_s=1_024)
        assert not given.is_ejected(LARGE)

    run(scene())


def test_nothing_keeps_a_request_once_its_failure_was_told() -> None:
    async def scene() -> None:
        given, body = Streams(Endpoint([EVENT, Code.UNAVAILABLE])), bytearray(100)
        before = sys.getrefcount(body)
        with suppress(UpstreamFailed):
            query = Query(payload_kind=PayloadKind.TENSORS)
            asked = Asked(memoryview(body), CHAT)
            async with given.dispatcher.stream(query, asked, timeout_s=10) as answer:
                async for _ in answer.pieces:
                    pass
        del asked
        assert sys.getrefcount(body) == before

    gc.disable()
    try:
        run(scene())
    finally:
        gc.enable()


steps = st.lists(st.sampled_from([EVENT, EVENT * 5, 0.05, 0.5, 3.0]), max_size=12) | st.lists(
    st.sampled_from([EVENT, 0.1, Code.UNAVAILABLE, Code.INTERNAL]), max_size=8
)


@drawn(steps, steps, st.floats(0, 10), st.sampled_from([0.0, 0.2, 2.0]))
def test_whenever_a_caller_leaves_nothing_is_left_and_each_attempt_is_counted(
    small: list[Step], large: list[Step], leaves_s: float, pause_s: float
) -> None:
    async def scene() -> None:
        given = Streams(Endpoint(small), Endpoint(large), slo=SLO, failures_max=5)
        reading = asyncio.create_task(given.read(pause_s=pause_s))
        await asyncio.wait([reading], timeout=leaves_s)
        reading.cancel()
        await asyncio.wait([reading])
        assert given.nothing_is_left()
        assert len(asyncio.all_tasks()) == 1
        counts = [given.counts(name) for name in ("small", "large") if given.is_counted(name)]
        asked = given.small.asked + given.large.asked
        assert sum(each.attempts for each in counts) == asked
        assert sum(each.ended for each in counts) == min(asked, 1)
        came = EVENT * (given.small.events + given.large.events)
        if not reading.cancelled():
            assert reading.result().whole == came

    run(scene())
