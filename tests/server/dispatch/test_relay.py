"""Pieces on their way to a caller who may take them slowly, or not at all."""

import asyncio

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from server.config.classes import SloConfig
from server.dispatch.relay import (
    READER_S_MAX,
    TAKEN_BYTES_MAX,
    WAITING_BYTES_MAX,
    Relay,
)
from server.routing.errors import ReaderStalled
from server.transport.held_bytes import HeldBytes
from tests.server.dispatch.streamed import EVENT, Endpoint, Streams
from tests.server.virtual_loop import run

KIB = 2**10
LARGE = EVENT * (8 * KIB // len(EVENT))
SLO = SloConfig(ms=1_000, fraction=0.9)


@drawn(
    st.lists(st.tuples(st.integers(1, 40 * KIB), st.sampled_from([0.0, 0.0, 0.5])), max_size=40),
    st.lists(st.sampled_from([0.0, 0.0, 0.3, 5.0]), min_size=1),
)
def test_all_that_is_put_in_is_taken_in_its_order_and_little_waits(
    puts: list[tuple[int, float]], pauses: list[float]
) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        held = HeldBytes(bytes_max=2**30, in_all_max=2**30)
        relay = Relay(loop.time, held)
        written, read = bytearray(), bytearray()

        async def carry() -> None:
            for number, (size, pause_s) in enumerate(puts):
                piece = bytes([number]) * size
                written.extend(piece)
                await relay.put(piece)
                assert len(written) - len(read) < WAITING_BYTES_MAX
                await asyncio.sleep(pause_s)
            relay.finish(None)

        carrying, largest = asyncio.create_task(carry()), max((s for s, _ in puts), default=0)
        pause = iter(pauses * (len(puts) + 1))
        async for piece in relay:
            read.extend(piece)
            assert len(piece) <= max(TAKEN_BYTES_MAX, largest)
            assert held.in_all <= WAITING_BYTES_MAX + largest
            await asyncio.sleep(next(pause))
        await carrying
        assert read == written
        assert held.in_all == 0

    run(scene())


def test_an_endpoint_is_not_read_while_as_much_waits_as_may() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([LARGE] * 1_000))
        reading = asyncio.create_task(given.read(pause_s=1.0))
        await asyncio.sleep(0.5)
        assert given.small.pieces == WAITING_BYTES_MAX // len(LARGE)
        assert given.held.in_all == WAITING_BYTES_MAX - TAKEN_BYTES_MAX
        reading.cancel()
        await asyncio.wait([reading])
        assert given.nothing_is_left()

    run(scene())


def test_time_in_which_the_caller_does_not_read_is_in_no_latency_and_misses_no_slo() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([LARGE, 0.25] * 40), slo=SloConfig(ms=11_000, fraction=0.9))
        begun_s = asyncio.get_running_loop().time()
        read = await given.read(pause_s=2.5)
        assert read.whole == LARGE * 40
        assert asyncio.get_running_loop().time() - begun_s > 40
        assert read.began.latency_s == pytest.approx(10.0)
        assert given.counts().busy_s == pytest.approx(10.0)
        assert (given.counts().completed, given.counts().slo_missed) == (1, 0)

    run(scene())


def test_a_caller_that_takes_nothing_is_ended_which_speaks_against_no_model() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([LARGE, 0.1] * 1_000), slo=SLO)
        begun_s = asyncio.get_running_loop().time()
        read = await given.read(pause_s=1_000.0)
        assert isinstance(read.error, ReaderStalled)
        assert asyncio.get_running_loop().time() - begun_s == pytest.approx(READER_S_MAX, abs=0.1)
        assert given.nothing_is_left()
        counts = given.counts()
        assert (counts.attempts, counts.answered, counts.failed) == (1, 0, 0)
        assert counts.cost_nano_usd == read.began.cost_nano_usd > 0
        assert not given.is_ejected()

    run(scene())


def test_a_caller_that_does_not_take_the_last_is_ended_too_and_was_answered() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([EVENT]))
        read = await given.read(pause_s=1_000.0)
        assert isinstance(read.error, ReaderStalled)
        assert (given.counts().answered, given.counts().failed) == (1, 0)

    run(scene())


def test_a_caller_that_takes_a_little_in_time_is_not_ended() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([EVENT] * 3))
        assert (await given.read(pause_s=READER_S_MAX - 1, timeout_s=1_000)).error is None

    run(scene())


def test_a_deadline_that_passes_while_the_caller_does_not_read_speaks_against_no_model() -> None:
    async def scene() -> None:
        given = Streams(Endpoint([LARGE] * 1_000))
        read = await given.read(pause_s=25.0)
        assert isinstance(read.error, ReaderStalled)
        assert (given.counts().failed, given.counts().completed) == (0, 0)
        assert not given.is_ejected()
        assert given.nothing_is_left()

    run(scene())


def test_where_all_hold_too_much_the_stream_that_holds_most_is_ended() -> None:
    async def scene() -> None:
        held = HeldBytes(bytes_max=2**30, in_all_max=200 * KIB)
        given = Streams(Endpoint([LARGE] * 1_000), held=held)
        given.large.steps = [LARGE] * 5
        reading = [asyncio.create_task(given.read(pause_s=10.0)) for _ in range(2)]
        first, _ = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
        (ended,) = first
        assert isinstance(ended.result().error, ReaderStalled)
        assert "holds too much" in str(ended.result().error)
        (other,) = set(reading) - first
        other.cancel()
        await asyncio.wait([other])
        assert given.nothing_is_left()

    run(scene())
