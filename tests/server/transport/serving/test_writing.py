"""How answers leave: in parts, and in one write of a turn."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from server.status_code import Code
from server.transport.grpc.messages import framed
from server.transport.grpc.methods import takes_views
from server.transport.http2.connection import Connection
from server.transport.http2.events import DataReceived, TrailersReceived
from server.transport.http2.limits import Limits
from server.transport.http2.output import ROOM_BYTES
from server.transport.serving.call import ServerCall
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from tests.server.transport.serving.by_messages import called, messages
from tests.server.transport.serving.kept_writes import Writes
from tests.server.transport.serving.raw_caller import (
    SERVICE,
    calling,
    head,
    serving,
    soon,
)

LARGE = memoryview(bytes(range(256)) * 2_000).toreadonly()


@pytest.mark.parametrize(
    "parts",
    [(b"", b"small"), [memoryview(b"sm"), b"all"], (b"head", LARGE), (LARGE, b"tail"), LARGE],
)
@pytest.mark.parametrize("extra", ["nothing", "metadata", "gzip"])
async def test_an_answer_may_come_in_parts(parts: Any, extra: str) -> None:
    @takes_views
    async def servicer(request: bytes, context: ServerCall) -> Any:
        if extra == "metadata":
            await context.send_initial_metadata((("x", "y"),))
        if extra == "gzip":
            context.set_compression(grpc.Compression.Gzip)
        return parts

    fields = ((b"grpc-accept-encoding", b"gzip"),) if extra == "gzip" else ()
    answer = await called(servicer, *fields)
    whole = b"".join((parts,) if parts is LARGE else parts)
    assert [bytes(message) for message in messages(answer.data)] == [whole]
    assert answer.status == Code.OK


async def test_parts_that_are_too_much_together_are_refused() -> None:
    @takes_views
    async def servicer(request: bytes, context: ServerCall) -> Any:
        return LARGE, LARGE

    limits = ServerLimits(message_bytes_max=2 * len(LARGE) - 1)
    async with serving(limits=limits, unary_Call=servicer) as (server, address):
        async with calling(address) as caller:
            assert (await caller.call("Call", b"hello")).status == Code.RESOURCE_EXHAUSTED
        assert server.limits_reached == {"message_bytes": 1}


async def test_a_large_part_is_not_copied_while_it_waits() -> None:
    large = bytes(LARGE)
    waiting = asyncio.Event()

    @takes_views
    async def servicer(request: bytes, context: ServerCall) -> Any:
        asyncio.get_running_loop().call_soon(waiting.set)
        return b"head", large

    async with serving(unary_Call=servicer) as (_, address), calling(address) as caller:
        caller.writer.write(b"\0\0\x06\4\0\0\0\0\0" + b"\0\4\0\0\0\0")  # windows of nothing
        before = sys.getrefcount(large)
        caller.request("Call", framed(b""))
        await soon(waiting.wait())
        assert sys.getrefcount(large) > before, "it waits as it is"


async def test_a_deadline_that_passes_while_our_socket_is_behind_is_told_as_one() -> None:
    """Data that waits for a write of ours alone is no reason to reset the stream."""

    async def servicer(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
        yield bytes(4 * ROOM_BYTES)

    server = Server(chance=lambda: 0.5)
    server.add_registered_method_handlers(
        SERVICE, {"Call": grpc.unary_stream_rpc_method_handler(servicer)}
    )
    transport, connection = Writes(), server.connected()
    connection.connection_made(transport)
    wide = Limits(stream_window_bytes=2**24, connection_window_bytes=2**24)
    caller = Connection(client=True, limits=wide)
    caller.request((*head("Call"), (b"grpc-timeout", b"1S")), framed(b""))
    connection.data_received(caller.take_output())
    events: list[object] = []
    while not any(isinstance(event, DataReceived) for event in events):
        await asyncio.sleep(0)
        events += [event for data in transport.kept for event in caller.receive(data, 0.0)]
        transport.kept.clear()
    (call,) = connection._calls._open.values()
    call.expire()
    for _ in range(20):
        await asyncio.sleep(0)
    events += [event for data in transport.kept for event in caller.receive(data, 0.0)]
    ended = events[-1]
    assert isinstance(ended, TrailersReceived)
    assert dict(ended.headers)[b"grpc-status"] == b"4"
    connection.connection_lost(None)


@pytest.mark.parametrize("waits", [False, True])
async def test_all_answers_of_one_turn_leave_in_one_write(waits: bool) -> None:
    async def servicer(request: bytes, context: object) -> bytes:
        if waits:
            await asyncio.sleep(0)
        return request

    server = Server(chance=lambda: 0.5, clock=lambda: 0.0)
    server.add_registered_method_handlers(
        SERVICE, {"Call": grpc.unary_unary_rpc_method_handler(servicer)}
    )
    transport, connection = Writes(), server.connected()
    connection.connection_made(transport)
    caller = Connection(client=True)
    caller.receive(b"".join(transport.kept), 0.0)
    transport.kept.clear()
    for _ in range(64):
        caller.request(head("Call"), framed(b"hello"))
    connection.data_received(caller.take_output())
    for _ in range(4):
        await asyncio.sleep(0)
    kept = [data for data in transport.kept if data]
    events = [event for data in kept for event in caller.receive(data, 0.0)]
    assert sum(isinstance(event, TrailersReceived) for event in events) == 64
    # The settings are acknowledged at once, whether the servicers wait or not.
    assert len(kept) == (2 if waits else 1)
    connection.connection_lost(None)
