"""Callers and servicers that read more slowly than the other writes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.status_code import Code
from server.transport.grpc.messages import framed
from server.transport.http2.errors import ErrorCode
from server.transport.http2.events import DataReceived, StreamReset
from server.transport.http2.limits import Limits
from server.transport.serving.call import ServerCall
from server.transport.serving.limits import ServerLimits
from tests.server.transport.serving.by_messages import messages
from tests.server.transport.serving.raw_caller import (
    calling,
    echo,
    serving,
    soon,
)


async def test_a_writer_waits_for_a_caller_who_does_not_read() -> None:
    written = 0

    async def servicer(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
        nonlocal written
        while True:
            yield bytes(10_000)
            written += 10_000

    limits = Limits(stream_window_bytes=65_535, connection_window_bytes=65_535)
    async with serving(output_Call=servicer) as (_, address), calling(address, limits) as caller:
        stream_id = caller.begin("Call")
        caller.send(stream_id, framed(b""), end=True)
        received = 0
        while received < 65_535:
            received += (await caller.event(DataReceived)).flow_bytes
        await caller.beat()
        assert written < 80_000
        caller.http2.give_back(stream_id, received)
        caller.flush()
        assert (await caller.event(DataReceived)).flow_bytes > 0


async def test_a_caller_waits_for_a_servicer_that_does_not_read() -> None:
    go_on = asyncio.Event()
    read: list[int] = []

    async def servicer(requests: AsyncIterator[bytes], context: ServerCall) -> bytes:
        await go_on.wait()
        read.extend([len(request) async for request in requests])
        return b""

    size = 2 * Limits().stream_window_bytes
    async with serving(input_Call=servicer) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Call")
        await caller.beat()  # the server's window is known by now
        caller.send(stream_id, framed(bytes(10_000)) * (size // 10_005), end=True)
        await caller.beat()
        assert caller.http2.waiting_bytes(stream_id) > 0
        assert read == []
        go_on.set()
        assert (await caller.answer(stream_id)).status == Code.OK
        assert len(read) == size // 10_005


async def test_a_message_may_be_larger_than_the_windows() -> None:
    size = 500_000
    http2 = Limits(stream_window_bytes=65_535, connection_window_bytes=65_535)
    limits = ServerLimits(http2=http2)
    async with (
        serving(limits=limits, unary_Echo=echo) as (_, address),
        calling(address, http2) as caller,
    ):
        stream_id = caller.begin("Echo")
        caller.send(stream_id, framed(bytes(size)), end=True)
        received = 0
        while received < size + 5:
            event = await caller.event(DataReceived)
            received += len(event.data)
            caller.http2.give_back(stream_id, event.flow_bytes)
            caller.flush()
        assert (await caller.answer(stream_id)).status == Code.OK


async def test_a_servicer_may_write_without_end_and_others_have_their_turn() -> None:
    async def servicer(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
        while True:
            yield b""

    async with (
        serving(output_Call=servicer, unary_Echo=echo) as (_, address),
        calling(address) as flooded,
        calling(address) as other,
    ):
        flooded.send(flooded.begin("Call"), framed(b""), end=True)
        assert (await other.call("Echo", b"hello")).status == Code.OK


async def test_a_write_behind_the_end_is_an_error() -> None:
    async def servicer(request: bytes, context: ServerCall) -> None:
        context.finish()
        with pytest.raises(asyncio.InvalidStateError):
            await context.write(b"late")

    async with serving(output_Call=servicer) as (_, address), calling(address) as caller:
        assert (await caller.call("Call")).data == b""


async def test_a_generator_is_closed_when_its_caller_leaves() -> None:
    closed, first = asyncio.Event(), asyncio.Event()

    async def servicer(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
                first.set()
        finally:
            closed.set()

    async with serving(output_Call=servicer) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Call")
        caller.send(stream_id, framed(b""), end=True)
        await caller.event(DataReceived)
        caller.http2.reset(stream_id, ErrorCode.CANCEL)
        caller.flush()
        await soon(closed.wait())


async def test_a_servicer_that_ends_early_stops_its_caller() -> None:
    async def servicer(requests: AsyncIterator[bytes], context: ServerCall) -> bytes:
        return b"enough"

    async with serving(input_Call=servicer) as (_, address), calling(address) as caller:
        stream_id = caller.begin("Call")
        caller.send(stream_id, framed(b"1"))
        answer = await caller.answer(stream_id)
        assert (answer.status, messages(answer.data)) == (Code.OK, [b"enough"])
        assert (await caller.event(StreamReset)).code == ErrorCode.NO_ERROR
