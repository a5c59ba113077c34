"""What a channel holds of answers is counted while it lives."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.channel.unary_call import HELD_STEP_BYTES
from server.transport.grpc.answer import CallFailed
from server.transport.held_bytes import HeldBytes
from tests.server.transport.channel.raw_peer import (
    DATA,
    PATIENCE_S,
    RST_STREAM,
    Listening,
    Peer,
    listening,
)

PATH = "/a.B/C"
MIB = 2**20
PIECE = bytes(16_000)


class Case:
    """A channel whose answers are counted, and its peer."""

    def __init__(self, held: HeldBytes, channel: Channel, server: Listening) -> None:
        self.held = held
        self.channel = channel
        self._server = server
        self._peer: Peer | None = None

    def begun(self, request: bytes = b"x") -> "asyncio.Task[bytes | memoryview]":
        call = self.channel.unary(PATH, request, timeout_s=PATIENCE_S)
        return asyncio.create_task(call)

    async def answering(self, size: int) -> tuple[Peer, int]:
        """The peer once it has sent nearly all of an answer of this size, and the stream."""
        if self._peer is None:
            self._peer = await self._server.greeted()
        peer = self._peer
        stream_id, _ = await peer.request()
        peer.head(stream_id)
        peer.send(DATA, 0, stream_id, b"\0" + size.to_bytes(4, "big"))
        for _ in range(size // len(PIECE)):
            peer.send(DATA, 0, stream_id, PIECE)
            await peer.writer.drain()
        return peer, stream_id

    async def holds(self, least: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.held.in_all < least:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0)


@asynccontextmanager
async def counted(*, in_all_max: int = 100 * MIB) -> AsyncIterator[Case]:
    held = HeldBytes(bytes_max=100 * MIB, in_all_max=in_all_max)
    async with listening() as server:
        channel = Channel(server.address, held=held)
        yield Case(held, channel, server)
        await channel.close()
    assert held.in_all == 0


async def test_an_answer_is_held_until_its_caller_has_it() -> None:
    async with counted() as case:
        call = case.begun()
        peer, stream_id = await case.answering(MIB)
        await case.holds(MIB - len(PIECE) - HELD_STEP_BYTES)
        peer.send(DATA, 0, stream_id, bytes(MIB % len(PIECE)))
        peer.trailers(stream_id)
        answer = await call
        assert isinstance(answer, memoryview), "a large one is not copied once more"
        assert bytes(answer) == bytes(MIB)
        assert case.held.in_all == 0


async def test_a_small_answer_is_on_its_way_and_not_counted() -> None:
    async with counted(in_all_max=0) as case:
        call = case.begun()
        peer, stream_id = await case.answering(HELD_STEP_BYTES // 2)
        peer.send(DATA, 0, stream_id, bytes(HELD_STEP_BYTES // 2 % len(PIECE)))
        peer.trailers(stream_id)
        assert len(await call) == HELD_STEP_BYTES // 2


async def _hangs_up(call: "asyncio.Task[bytes | memoryview]", peer: Peer, stream_id: int) -> None:
    peer.writer.transport.abort()


async def _resets(call: "asyncio.Task[bytes | memoryview]", peer: Peer, stream_id: int) -> None:
    peer.reset(stream_id, 2)


async def _is_left(call: "asyncio.Task[bytes | memoryview]", peer: Peer, stream_id: int) -> None:
    call.cancel()


@pytest.mark.parametrize("end", [_hangs_up, _resets, _is_left])
async def test_nothing_is_held_of_a_call_that_failed(
    end: Callable[["asyncio.Task[bytes | memoryview]", Peer, int], Awaitable[None]],
) -> None:
    async with counted() as case:
        call = case.begun()
        peer, stream_id = await case.answering(MIB)
        await case.holds(MIB // 2)
        await end(call, peer, stream_id)
        with pytest.raises((CallFailed, asyncio.CancelledError)):
            await call
        assert case.held.in_all == 0


async def test_whoever_holds_most_fails_when_too_much_is_held_and_others_go_on() -> None:
    async with counted(in_all_max=MIB) as case:
        large = case.begun()
        peer, stream_id = await case.answering(MIB - MIB // 8)
        await case.holds(MIB // 2)
        small = case.begun()
        peer, other_id = await case.answering(MIB // 2)
        with pytest.raises(CallFailed, match="too much is held") as failed:
            await large
        assert failed.value.code is Code.RESOURCE_EXHAUSTED
        assert case.channel.limits_reached == {"held_bytes_in_all": 1}
        assert (await peer.frame(RST_STREAM)).stream_id == stream_id
        peer.send(DATA, 0, other_id, bytes(MIB // 2 % len(PIECE)))
        peer.trailers(other_id)
        assert len(await small) == MIB // 2


@pytest.mark.parametrize("size", [10, 100_000])
async def test_a_request_may_have_views_as_parts(size: int) -> None:
    async with listening() as server:
        channel = Channel(server.address)
        parts = (memoryview(bytes(size)), b"end")
        call = asyncio.create_task(channel.unary(PATH, parts, timeout_s=PATIENCE_S))
        peer = await server.greeted(window=2**20)
        peer.open_window(0, 2**20)
        stream_id, request = await peer.request()
        assert request == bytes(size) + b"end"
        peer.answer(stream_id, b"well")
        assert await call == b"well"
        await channel.close()
