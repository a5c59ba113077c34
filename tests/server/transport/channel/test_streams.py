"""Calls with streams: back pressure both ways, and how they end."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.channel.limits import ChannelLimits
from server.transport.channel.stream_call import StreamCall
from server.transport.grpc.answer import CallFailed
from server.transport.http2.errors import ErrorCode
from server.transport.http2.limits import Limits
from tests.server.transport.channel.raw_peer import (
    ACK,
    DATA,
    END_STREAM,
    HEADERS,
    PATIENCE_S,
    PING,
    RST_STREAM,
    WINDOW_UPDATE,
    Frame,
    Listening,
    Peer,
    listening,
)

FRAME_BYTES = 16_384
WINDOW_BYTES = Limits().stream_window_bytes


@pytest.fixture
async def server() -> AsyncIterator[Listening]:
    async with listening() as made:
        yield made


@pytest.fixture
async def channel(server: Listening) -> AsyncIterator[Channel]:
    made = Channel(server.address, limits=ChannelLimits(connect_s=PATIENCE_S, goodbye_s=0.05))
    yield made
    await made.close()


def begun(channel: Channel, timeout_s: float | None = PATIENCE_S) -> StreamCall:
    return channel.stream("/a.B/C", timeout_s=timeout_s)


async def met(server: Listening, **settings: int) -> tuple[Peer, int]:
    """The peer, and the number of the stream that was opened."""
    peer = await server.greeted(**settings)
    return peer, (await peer.frame(HEADERS)).stream_id


async def until_answered(peer: Peer) -> list[Frame]:
    """What the client had sent when it answered a ping."""
    peer.send(PING, 0, 0, b"12345678")
    frames = []
    while (frame := await peer.next()).kind != PING or not frame.flags & ACK:
        frames.append(frame)
    return frames


async def failure(call: StreamCall) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await anext(call)
    return failed.value


async def test_a_sender_waits_for_the_peers_window(channel: Channel, server: Listening) -> None:
    async with begun(channel) as call:
        sending = asyncio.create_task(call.send(bytes(95)))
        peer, stream_id = await met(server, window=40)
        assert len((await peer.frame(DATA)).payload) == 40
        await until_answered(peer)
        assert not sending.done()
        peer.open_window(stream_id, 60)
        await sending


async def test_a_sender_waits_for_a_peer_that_does_not_read(
    channel: Channel, server: Listening
) -> None:
    turns = 4_000
    async with begun(channel) as call:
        sending = asyncio.create_task(_send(call, turns))
        peer, _ = await met(server, window=2**31 - 1)
        peer.open_window(0, 2**30)
        peer.pause_reading()
        for _ in range(2 * turns):
            await asyncio.sleep(0)
        assert not sending.done()
        call.cancel()
        with pytest.raises(CallFailed):
            await sending


async def _send(call: StreamCall, turns: int) -> None:
    """Sends so often: in as many turns of the loop, if nothing holds it back."""
    for _ in range(turns):
        await call.send(bytes(FRAME_BYTES))


async def test_a_sender_that_waits_hears_of_the_end(channel: Channel, server: Listening) -> None:
    async with begun(channel) as call:
        sending = asyncio.create_task(call.send(bytes(200_000)))
        peer, stream_id = await met(server, window=10)
        peer.reset(stream_id, ErrorCode.CANCEL)
        with pytest.raises(CallFailed) as failed:
            await sending
    assert failed.value.code is Code.CANCELLED


async def test_messages_that_are_sent_at_once_do_not_mix(
    channel: Channel, server: Listening
) -> None:
    async with begun(channel) as call:
        sending = [asyncio.create_task(call.send(one * 100_000)) for one in (b"a", b"b")]
        peer, _ = await met(server, window=2**20)
        peer.open_window(0, 2**20)
        body = b""
        while len(body) < 200_010:
            body += (await peer.frame(DATA)).payload
        assert body[5:100_005] == b"a" * 100_000
        assert body[100_010:] == b"b" * 100_000
        await asyncio.gather(*sending)


async def test_a_message_that_is_half_sent_when_its_sender_is_cancelled_ends_the_call(
    channel: Channel, server: Listening
) -> None:
    async with begun(channel) as call:
        sending = asyncio.create_task(call.send(bytes(100)))
        peer, stream_id = await met(server, window=10)
        await peer.frame(DATA)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert (await peer.frame(RST_STREAM)).stream_id == stream_id


async def test_answers_that_nobody_reads_hold_the_peer_back(
    channel: Channel, server: Listening
) -> None:
    async with begun(channel) as call:
        call.half_close()
        peer, stream_id = await met(server)
        peer.head(stream_id)
        for _ in range(WINDOW_BYTES // FRAME_BYTES):
            peer.data(stream_id, bytes(FRAME_BYTES - 5))
        frames = await until_answered(peer)
        assert not [one for one in frames if one.kind == WINDOW_UPDATE and one.stream_id]
        for _ in range(WINDOW_BYTES // FRAME_BYTES):
            assert await anext(call) == bytes(FRAME_BYTES - 5)
        while (await peer.frame(WINDOW_UPDATE)).stream_id != stream_id:
            pass


async def test_a_message_larger_than_the_window_comes_whole(
    channel: Channel, server: Listening
) -> None:
    size = 3 * WINDOW_BYTES
    async with begun(channel) as call:
        call.half_close()
        peer, stream_id = await met(server)
        peer.head(stream_id)
        peer.send(DATA, 0, stream_id, b"\0" + size.to_bytes(4, "big"))
        reading = asyncio.ensure_future(anext(call))
        window, left = WINDOW_BYTES - 5, size
        while left:
            while not window:
                update = await peer.frame(WINDOW_UPDATE)
                if update.stream_id == stream_id:
                    window += int.from_bytes(update.payload, "big")
            piece = min(FRAME_BYTES, window, left)
            peer.send(DATA, 0, stream_id, bytes(piece))
            window, left = window - piece, left - piece
        assert await reading == bytes(size)


async def test_messages_before_an_error_are_read_first(channel: Channel, server: Listening) -> None:
    async with begun(channel) as call:
        call.half_close()
        peer, stream_id = await met(server)
        peer.head(stream_id)
        peer.data(stream_id, b"one")
        peer.trailers(stream_id, ("grpc-status", "8"), ("x-why", "full"))
        await until_answered(peer)
        assert await anext(call) == b"one"
        assert (await failure(call)).code is Code.RESOURCE_EXHAUSTED
        assert call.trailing_metadata == (("x-why", "full"),)


async def test_an_answer_that_ends_inside_a_message_is_internal(
    channel: Channel, server: Listening
) -> None:
    async with begun(channel) as call:
        peer, stream_id = await met(server)
        peer.head(stream_id)
        peer.send(DATA, 0, stream_id, b"\0\0\0\0\x09half")
        peer.trailers(stream_id)
        assert (await failure(call)).code is Code.INTERNAL


async def test_an_answer_that_is_a_status_has_no_initial_metadata(
    channel: Channel, server: Listening
) -> None:
    async with begun(channel) as call:
        peer, stream_id = await met(server)
        peer.head(stream_id, ((":status", "200"), ("grpc-status", "0"), ("x-a", "b")), END_STREAM)
        assert await call.initial_metadata() == ()
        assert [message async for message in call] == []
        assert call.trailing_metadata == (("x-a", "b"),)


async def test_sending_after_the_server_has_ended_the_call_fails(
    channel: Channel, server: Listening
) -> None:
    async with begun(channel) as call:
        peer, stream_id = await met(server)
        peer.answer(stream_id, b"enough")
        assert [message async for message in call] == [b"enough"]
        with pytest.raises(CallFailed, match="the server has ended the call"):
            await call.send(b"more")
        assert (await peer.frame(RST_STREAM)).stream_id == stream_id


async def test_leaving_a_call_cancels_it(channel: Channel, server: Listening) -> None:
    async with begun(channel):
        peer, stream_id = await met(server)
    reset = await peer.frame(RST_STREAM)
    assert (reset.stream_id, int.from_bytes(reset.payload, "big")) == (stream_id, ErrorCode.CANCEL)


async def test_a_call_that_waits_for_a_connection_can_be_left(
    channel: Channel, server: Listening
) -> None:
    async with begun(channel) as call:
        await server.accept()
    assert (await failure(call)).code is Code.CANCELLED


async def test_a_deadline_ends_whatever_waits(channel: Channel, server: Listening) -> None:
    async with begun(channel) as other:
        await met(server, window=10)
        other.cancel()
    async with begun(channel, timeout_s=0.05) as call:
        sending = asyncio.create_task(call.send(bytes(200_000)))
        reading = asyncio.ensure_future(failure(call))
        with pytest.raises(CallFailed):
            await sending
        assert (await reading).code is Code.DEADLINE_EXCEEDED


async def test_a_connection_that_breaks_ends_whatever_waits(
    channel: Channel, server: Listening
) -> None:
    async with begun(channel) as call:
        sending = asyncio.create_task(call.send(bytes(200_000)))
        peer, _ = await met(server, window=10)
        peer.writer.transport.abort()
        with pytest.raises(CallFailed):
            await sending
        assert (await failure(call)).code is Code.UNAVAILABLE


async def test_a_refused_stream_is_unavailable_for_what_was_sent_is_not_kept(
    channel: Channel, server: Listening
) -> None:
    async with begun(channel) as call:
        peer, stream_id = await met(server)
        peer.reset(stream_id, ErrorCode.REFUSED_STREAM)
        assert (await failure(call)).code is Code.UNAVAILABLE
