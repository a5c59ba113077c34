"""Whatever an endpoint says, when it has gone all calls have ended, long before their deadlines."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.transport.channel.channel import Channel
from server.transport.channel.limits import ChannelLimits
from server.transport.grpc.answer import CallFailed
from server.transport.http2.limits import Limits
from tests.server.transport.channel.raw_peer import (
    DATA,
    PATIENCE_S,
    SETTINGS,
    Listening,
    Peer,
    listening,
)

PATH = "/a.B/C"
WINDOW = Limits().stream_window_bytes
ALL = Limits().connection_window_bytes
FRAME = bytes(16_384)
FRAMES = len(FRAME)

Step = Callable[[Peer], None]


async def ended(*calls: asyncio.Task[str]) -> Counter[str]:
    """How the calls ended, and how many so."""
    async with asyncio.timeout(PATIENCE_S):
        return Counter(await asyncio.gather(*calls))


def begun(channel: Channel, request: bytes = b"x") -> asyncio.Task[str]:
    async def call() -> str:
        try:
            await channel.unary(PATH, request, timeout_s=10 * PATIENCE_S)
        except CallFailed as failure:
            return f"{failure.code.name} {failure}"
        return "answered"

    return asyncio.create_task(call())


def stream_overrun(peer: Peer, stream_id: int) -> None:
    """In one piece, so that nothing is given back in between."""
    for _ in range(WINDOW // FRAMES + 1):
        peer.send(DATA, 0, stream_id, FRAME)


# An endpoint that sends more than its windows allow. Windows open as an answer is collected, so
# that only answers that are whole, or come before their heads, use them up.


async def test_an_answer_before_its_head_fails_its_call_alone() -> None:
    async with listening() as server:
        channel = Channel(server.address)
        one, other = begun(channel), begun(channel)
        peer = await server.greeted()
        first, _ = await peer.request()
        second, _ = await peer.request()
        stream_overrun(peer, first)
        peer.head(first)
        peer.answer(second, b"well")
        assert await ended(one, other) == {
            "UNAVAILABLE HTTP/2 failed: DATA before the head of the response": 1,
            "answered": 1,
        }
        await channel.close()


async def test_answers_beyond_the_connections_window_fail_all_calls_that_are_out() -> None:
    count = ALL // FRAMES + 10
    async with listening() as server:
        channel = Channel(server.address)
        calls = [begun(channel) for _ in range(count)]
        peer = await server.greeted()
        streams = [(await peer.request())[0] for _ in range(count)]
        for stream_id in streams:
            peer.head(stream_id)
            peer.data(stream_id, FRAME[5:])
        for stream_id in streams:
            peer.trailers(stream_id)
        reason = "HTTP/2 failed: DATA goes beyond the connection's window"
        assert await ended(*calls) == {f"UNAVAILABLE {reason}": count}
        assert await peer.ended()
        await channel.close()


async def test_calls_that_wait_beside_a_connection_that_fails_go_to_a_new_one() -> None:
    async with listening() as server:
        channel = Channel(server.address, limits=ChannelLimits(connections=1))
        one, other = begun(channel), begun(channel)
        peer = await server.greeted(streams=1)
        await peer.request()
        peer.send(DATA, 0, 0, b"x")
        assert (await ended(one)).keys() == {
            "UNAVAILABLE HTTP/2 failed: a frame on a stream that was never opened"
        }
        peer = await server.greeted()
        peer.answer((await peer.request())[0], b"well")
        assert await ended(other) == {"answered": 1}
        await channel.close()


async def test_a_peer_that_reads_nothing_holds_up_nobody_once_it_broke_http2() -> None:
    async with listening() as server:
        limits = ChannelLimits(connections=1, goodbye_s=10 * PATIENCE_S)
        channel = Channel(server.address, limits=limits)
        one = begun(channel, bytes(32 * 2**20))
        peer = await server.greeted(streams=1, window=2**31 - 1)
        peer.open_window(0, 2**30)
        peer.pause_reading()
        other = begun(channel)
        for _ in range(300):  # all that the kernel takes is with it by then
            await asyncio.sleep(0)
        peer.send(DATA, 0, 0, b"x")
        await ended(one)
        peer = await server.greeted()
        peer.answer((await peer.request())[0], b"well")
        assert await ended(other) == {"answered": 1}
        await channel.close()


@pytest.mark.parametrize("leaves", [True, False])
async def test_an_endpoint_that_greets_and_takes_no_calls_is_told_at_once(leaves: bool) -> None:
    async with listening() as server:
        channel = Channel(server.address)
        call = begun(channel)
        peer = await server.accept()
        await peer.greet()
        peer.goaway(0)  # in one piece with the SETTINGS
        if leaves:
            peer.writer.close()
        told = await ended(call)
        assert list(told) == [
            "UNAVAILABLE the endpoint cannot be reached: the connection was closed"
        ]
        await channel.close()


# Any conversation.


def say(kind: int, flags: int, stream_id: int, payload: bytes) -> Step:
    return lambda peer: peer.send(kind, flags, stream_id, payload)


STREAMS = st.sampled_from([0, 1, 1, 3, 5, 7, 2, 99])
FLAGS = st.sampled_from([0, 1, 4, 5, 8])
STEPS = st.one_of(
    st.builds(say, st.integers(0, 10), FLAGS, STREAMS, st.binary(max_size=40)),
    st.builds(lambda stream: lambda peer: peer.head(stream), STREAMS),
    st.builds(lambda stream: lambda peer: peer.data(stream, bytes(10)), STREAMS),
    st.builds(lambda stream: lambda peer: peer.answer(stream, b"well"), STREAMS),
    st.builds(lambda stream: lambda peer: peer.trailers(stream), STREAMS),
    st.builds(lambda stream: lambda peer: stream_overrun(peer, stream), STREAMS),
    st.builds(
        lambda stream, code: lambda peer: peer.reset(stream, code), STREAMS, st.integers(0, 14)
    ),
    st.builds(lambda last: lambda peer: peer.goaway(last), st.sampled_from([0, 1, 3, 2**31 - 1])),
    st.builds(
        lambda stream, by: lambda peer: peer.open_window(stream, by),
        STREAMS,
        st.sampled_from([0, 1, 70_000, 2**31 - 1]),
    ),
    st.builds(
        lambda name, value: say(
            SETTINGS, 0, 0, name.to_bytes(2, "big") + value.to_bytes(4, "big")
        ),
        st.integers(1, 6),
        st.sampled_from([0, 1, 100, 65_535, 2**31 - 1]),
    ),
)  # fmt: skip
SCRIPTS = st.lists(st.lists(STEPS, max_size=6), min_size=1, max_size=3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts=SCRIPTS, greets=st.booleans(), reads=st.booleans())
def test_every_call_ends_when_its_endpoint_has_gone(
    scripts: Sequence[Sequence[Step]], greets: bool, reads: bool
) -> None:
    """Each connection hears its script and the end; behind the last nobody listens any more."""

    async def run() -> None:
        async with listening() as server:
            channel = Channel(server.address, limits=ChannelLimits(connections=2), chance=lambda: 0)
            calls = [begun(channel, bytes(size)) for size in (1, 1, 1, 200_000)]
            playing = asyncio.create_task(play(server))
            told = await ended(*calls)
            assert not any(words.startswith("DEADLINE_EXCEEDED") for words in told)
            playing.cancel()
            await channel.close()

    async def play(server: Listening) -> None:
        for script in scripts:
            peer = await server.accept()
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await (peer.greet() if greets else asyncio.sleep(0))
                for step in script:
                    step(peer)
                    if reads:
                        await peer.writer.drain()
                        await asyncio.sleep(0)
                peer.writer.close()
        server.stop()
        while True:  # those that the kernel accepted before
            (await server.accept()).writer.transport.abort()

    asyncio.run(run())
