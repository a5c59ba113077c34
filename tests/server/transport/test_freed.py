"""What a connection or a call held is free when it ends: by reference, with the collector off."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from structlog.testing import capture_logs

from server.status_code import Code
from server.transport.channel.channel import Channel
from server.transport.channel.limits import ChannelLimits
from server.transport.grpc.answer import CallFailed
from server.transport.grpc.messages import framed
from server.transport.serving.call import ServerCall
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from tests.server.transport.channel.raw_peer import PATIENCE_S, Listening, Peer, listening
from tests.server.transport.http2.by_hand import DATA, HEADERS, raw, rst_stream, setting
from tests.server.transport.serving.raw_caller import SERVICE, Caller, calling, serving

LARGE_BYTES = 4 * 2**20
SMALL_BYTES = 2**20  # what a test, its sockets and its servers take
PATH = f"/{SERVICE}/Call"


@pytest.fixture(autouse=True)
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    tracemalloc.start(1)
    try:
        yield
    finally:
        tracemalloc.stop()
        gc.enable()


def taken() -> int:
    """Bytes that are in use."""
    return tracemalloc.get_traced_memory()[0]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - nobody tells of memory
            await asyncio.sleep(0)


async def freed() -> None:
    """Returns when nothing large is in use; it fails where only the collector would see to it."""
    await until(lambda: taken() < SMALL_BYTES)


# At a server.


async def large(request: bytes, context: ServerCall) -> bytes:
    return bytes(LARGE_BYTES)


async def three_wait(caller: Caller) -> list[int]:
    """Three answers that no window lets through."""
    caller.writer.write(raw(4, 0, 0, setting(4, 0)))
    ids = [caller.request("Call", framed(b"")) for _ in range(3)]
    await until(lambda: taken() > 3 * LARGE_BYTES)
    return ids


async def _hangs_up(caller: Caller, server: Server) -> None:
    caller.writer.transport.abort()
    await until(lambda: server.connections == 0)


async def _breaks_http2(caller: Caller, server: Server) -> None:
    caller.writer.write(raw(DATA, 0, 0, b"x"))
    await caller.ended()


async def _reaches_a_limit(caller: Caller, server: Server) -> None:
    caller.writer.write(raw(6, 0, 0, bytes(8)) * 200)
    await caller.ended()


async def _resets(caller: Caller, server: Server) -> None:
    caller.writer.write(b"".join(rst_stream(stream_id) for stream_id in caller.answers))


async def _is_told_to_leave(caller: Caller, server: Server) -> None:
    stopping = asyncio.create_task(server.stop(0))
    await caller.ended()
    await stopping


@pytest.mark.parametrize(
    "ends", [_hangs_up, _breaks_http2, _reaches_a_limit, _resets, _is_told_to_leave]
)
async def test_answers_that_wait_are_free_when_their_caller(
    ends: Callable[[Caller, Server], Awaitable[None]],
) -> None:
    async with serving(unary_Call=large) as (server, address), calling(address) as caller:
        await three_wait(caller)
        await ends(caller, server)
        await freed()


async def test_answers_that_wait_are_free_when_they_are_too_many() -> None:
    limits = ServerLimits(held_bytes_max=2 * LARGE_BYTES)
    async with (
        serving(limits=limits, unary_Call=large) as (server, address),
        calling(address) as caller,
    ):
        caller.writer.write(raw(4, 0, 0, setting(4, 0)))
        for _ in range(3):
            caller.request("Call", framed(b""))
        await caller.ended()
        assert server.limits_reached == {"held_bytes": 1}
        await freed()


@pytest.mark.parametrize("ends", [_hangs_up, _breaks_http2, _resets, _is_told_to_leave])
@pytest.mark.parametrize("is_whole", [True, False])
async def test_requests_are_free_when_their_caller(
    ends: Callable[[Caller, Server], Awaitable[None]], is_whole: bool
) -> None:
    async def waits(request: bytes, context: ServerCall) -> bytes:
        await asyncio.Event().wait()
        return request

    async with serving(unary_Call=waits) as (server, address), calling(address) as caller:
        await request_in_part(caller, end=is_whole)
        await ends(caller, server)
        await freed()


async def request_in_part(caller: Caller, *, end: bool) -> None:
    """A large request, all or nearly all of it; of which the caller keeps nothing."""
    await caller.beat()
    size = LARGE_BYTES - 10
    stream_id = caller.begin("Call")
    caller.send(stream_id, b"\0" + size.to_bytes(4))
    left = size if end else size - 1
    while left:
        piece = min(left, 16_000)
        left -= piece
        caller.send(stream_id, bytes(piece), end=end and not left)
        while caller.http2.waiting_bytes(stream_id):
            await caller.beat()
    await caller.beat()
    caller.received = b""
    await until(lambda: taken() > LARGE_BYTES - 100)


async def test_a_request_is_free_when_its_servicer_has_failed() -> None:
    async def fails(request: bytes, context: ServerCall) -> bytes:
        await asyncio.sleep(0)
        raise KeyError

    async with serving(unary_Call=fails) as (_, address), calling(address) as caller:
        await caller.beat()
        stream_id = caller.request("Call", framed(bytes(LARGE_BYTES - 10)))
        with capture_logs():
            assert (await caller.answer(stream_id)).status == Code.UNKNOWN
        await freed()


# At a channel.


@pytest.fixture
async def server() -> AsyncIterator[Listening]:
    async with listening() as made:
        yield made


async def call(channel: Channel, request_bytes: int) -> str:
    """Calls with a request of its own; how it ended."""
    try:
        await channel.unary(PATH, (b"x", bytes(request_bytes)), timeout_s=PATIENCE_S)
    except CallFailed as failure:
        return failure.code.name
    except asyncio.CancelledError:
        return "cancelled"
    return "answered"


class Case:
    """A call with a large request that the peer does not let through and most of an answer."""

    def __init__(self, channel: Channel, peer: Peer, task: asyncio.Task[str]) -> None:
        self.channel = channel
        self.peer = peer
        self.task = task

    async def _how(self) -> str:
        async with asyncio.timeout(PATIENCE_S):
            return await self.task

    async def hangs_up(self) -> str:
        self.peer.writer.transport.abort()
        return await self._how()

    async def breaks_http2(self) -> str:
        self.peer.send(DATA, 0, 0, b"x")
        return await self._how()

    async def resets(self) -> str:
        self.peer.reset(1, 8)
        return await self._how()

    async def says_too_much(self) -> str:
        self.peer.writer.write(raw(DATA, 0, 1, bytes(100)))
        return await self._how()

    async def ends_early(self) -> str:
        self.peer.trailers(1)
        return await self._how()

    async def is_left(self) -> str:
        self.task.cancel()
        return await self._how()

    async def is_closed(self) -> str:
        await self.channel.close()
        return await self._how()


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (Case.hangs_up, "UNAVAILABLE"),
        (Case.breaks_http2, "UNAVAILABLE"),
        (Case.resets, "CANCELLED"),
        (Case.says_too_much, "INTERNAL"),
        (Case.ends_early, "INTERNAL"),
        (Case.is_left, "cancelled"),
        (Case.is_closed, "CANCELLED"),
    ],
)
async def test_a_call_of_a_channel_holds_nothing_once_it(
    server: Listening, end: Callable[[Case], Awaitable[str]], told: str
) -> None:
    channel = Channel(server.address, limits=ChannelLimits(connect_s=PATIENCE_S))
    task = asyncio.create_task(call(channel, LARGE_BYTES))
    peer = await server.greeted(window=0)
    await peer.frame(HEADERS)
    peer.head(1)
    # The second message of an answer is one too many: it is seen when it is whole.
    first = b"\0" + (10).to_bytes(4) + bytes(10)
    size = LARGE_BYTES // 2
    peer.writer.write(raw(DATA, 0, 1, first + b"\0" + size.to_bytes(4)))
    for _ in range(size // 8_192 - 1):
        await peer.writer.drain()
        peer.writer.write(raw(DATA, 0, 1, bytes(8_192)))
    peer.writer.write(raw(DATA, 0, 1, bytes(8_192 - 50)))
    await until(lambda: taken() > LARGE_BYTES + size - 8_192)
    assert await end(Case(channel, peer, task)) == told
    await freed()
    await channel.close()


async def test_a_stream_of_a_channel_holds_nothing_once_its_connection_broke(
    server: Listening,
) -> None:
    async def use() -> None:
        call = channel.stream(PATH, timeout_s=PATIENCE_S)
        both = asyncio.gather(call.send(bytes(LARGE_BYTES)), anext(call), return_exceptions=True)
        peer = await server.greeted(window=0)
        await peer.frame(HEADERS)
        peer.writer.transport.abort()
        assert [type(error) for error in await both] == [CallFailed, CallFailed]

    channel = Channel(server.address, limits=ChannelLimits(connect_s=PATIENCE_S))
    await use()
    await freed()
    await channel.close()
