"""What is held for peers, and who gives way."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.status_code import Code
from server.transport.grpc.messages import framed, framed_gzip
from server.transport.http2.errors import ErrorCode
from server.transport.http2.limits import Limits
from server.transport.serving.call import ServerCall
from server.transport.serving.holding import HELD_STEP_BYTES, STREAM_BYTES
from server.transport.serving.limits import ServerLimits
from tests.server.transport.serving.answers import MIB, WIDE, large
from tests.server.transport.serving.raw_caller import calling, echo, serving, soon, waiting


async def test_requests_that_do_not_end_are_held_up_to_a_limit() -> None:
    limits = ServerLimits(held_bytes_max=MIB, message_bytes_max=4 * MIB)
    async with serving(limits=limits, unary_Echo=echo) as (server, address):
        async with calling(address) as caller, calling(address) as other:
            for _ in range(2):
                caller.send(caller.begin("Echo"), framed(bytes(MIB))[:-1])
            assert (3, ErrorCode.ENHANCE_YOUR_CALM) in await caller.ended()
            assert caller.received.endswith(b"held_bytes")
            assert (await other.call("Echo")).status == Code.OK
        assert server.limits_reached == {"held_bytes": 1}


async def test_connections_and_streams_are_held_too() -> None:
    servicer, _, go_on, _ = waiting()
    ended = asyncio.Event()
    async with serving(on_ended=ended.set, unary_Wait=servicer) as (server, address):
        async with calling(address) as caller:
            await caller.beat()
            assert server.held.in_all == HELD_STEP_BYTES
            for _ in range(10):
                caller.request("Wait", framed(b""))
            await caller.beat()
            assert (
                server.held.in_all == (10 * STREAM_BYTES // HELD_STEP_BYTES + 1) * HELD_STEP_BYTES
            )
            go_on.set()
            await caller.beat()
            assert server.held.in_all == HELD_STEP_BYTES
        await soon(ended.wait())
        assert server.held.in_all == 0


async def test_requests_that_are_whole_but_have_not_ended_are_held_up_to_a_limit() -> None:
    limits = ServerLimits(held_bytes_max=MIB)
    async with serving(limits=limits, unary_Echo=echo) as (server, address):
        async with calling(address) as caller, calling(address) as other:
            for _ in range(2):  # a thousandth of it travels
                caller.send(caller.begin("Echo", grpc_encoding="gzip"), framed_gzip(bytes(MIB)))
            assert (3, ErrorCode.ENHANCE_YOUR_CALM) in await caller.ended()
            assert (await other.call("Echo")).status == Code.OK
        assert server.limits_reached == {"held_bytes": 1}


@pytest.mark.parametrize("method", ["Unary", "Stream"])
async def test_requests_whose_servicers_wait_are_held_up_to_a_limit(method: str) -> None:
    servicer, began, _, _ = waiting()

    async def endless(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
        yield await servicer(request, context)

    limits = ServerLimits(held_bytes_max=MIB)
    async with serving(limits=limits, unary_Unary=servicer, output_Stream=endless) as (
        server,
        address,
    ):
        async with calling(address) as caller:
            caller.send(caller.begin(method), framed(bytes(MIB // 4 * 3)), end=True)
            while not began.is_set():
                await caller.beat()
            caller.send(caller.begin(method), framed(bytes(MIB // 4 * 3)), end=True)
            assert (3, ErrorCode.ENHANCE_YOUR_CALM) in await caller.ended()
        assert server.limits_reached == {"held_bytes": 1}


async def test_requests_that_were_answered_or_reset_are_held_no_more() -> None:
    async def servicer(request: bytes, context: ServerCall) -> bytes:
        await asyncio.sleep(0)
        return b""

    limits = ServerLimits(held_bytes_max=MIB)
    async with serving(limits=limits, unary_Call=servicer) as (server, address):
        async with calling(address) as caller:
            await caller.beat()
            for _ in range(4):
                whole = framed_gzip(bytes(MIB // 2))
                caller.send(caller.begin("Call", grpc_encoding="gzip"), whole)
                await caller.beat()
                caller.http2.reset(max(caller.answers))
                ended = caller.begin("Call")
                caller.send(ended, framed(bytes(MIB // 3)), end=True)
                assert (await caller.answer(ended)).status == Code.OK
        assert server.limits_reached == {}


async def test_requests_that_were_refused_are_held_no_more() -> None:
    limits = ServerLimits(held_bytes_max=MIB // 4)
    bad = b"\1" + framed(bytes(16_000))[1:]  # no gzip
    async with serving(limits=limits, unary_Echo=echo) as (server, address):
        async with calling(address) as caller:
            for _ in range(40):
                stream_id = caller.request("Echo", bad, grpc_encoding="gzip")
                assert (await caller.answer(stream_id)).status == Code.INTERNAL
            assert (await caller.call("Echo")).status == Code.OK
        assert server.limits_reached == {}


async def test_what_is_held_in_all_has_a_limit_and_the_greediest_gives_way() -> None:
    limits = ServerLimits(held_bytes_in_all_max=MIB)
    async with serving(limits=limits, unary_Echo=echo) as (server, address):
        async with calling(address) as greedy, calling(address) as modest:
            for caller, size in ((greedy, 600_000), (modest, 500_000)):
                await caller.beat()  # the server's windows are known by now
                stream_id = caller.begin("Echo")
                caller.send(stream_id, framed(bytes(size))[:-1])
                await caller.beat()
            assert (1, ErrorCode.ENHANCE_YOUR_CALM) in await greedy.ended()
            modest.send(stream_id, b"\0", end=True)
            assert (await modest.answer(stream_id)).status == Code.OK
        assert server.limits_reached == {"held_bytes_in_all": 1}


async def test_answers_that_are_not_read_are_held_up_to_a_limit() -> None:
    ended = asyncio.Event()
    limits = ServerLimits(held_bytes_max=MIB, message_bytes_max=64 * MIB)
    async with serving(limits=limits, on_ended=ended.set, unary_Large=large, unary_Echo=echo) as (
        server,
        address,
    ):
        async with calling(address, WIDE) as caller, calling(address) as other:
            await caller.beat()
            caller.pause_reading()
            caller.send(caller.begin("Large"), framed(b"%d" % (32 * MIB)), end=True)
            await soon(ended.wait())
            assert (await other.call("Echo")).status == Code.OK
        assert server.limits_reached == {"held_bytes": 1}


async def test_answers_that_wait_for_a_window_are_held_up_to_a_limit() -> None:
    limits = ServerLimits(held_bytes_max=MIB, message_bytes_max=4 * MIB)
    async with serving(limits=limits, unary_Large=large) as (server, address):
        async with calling(address, Limits(stream_window_bytes=65_535)) as caller:
            for _ in range(2):
                caller.send(caller.begin("Large"), framed(b"%d" % MIB), end=True)
            assert (3, ErrorCode.ENHANCE_YOUR_CALM) in await caller.ended()
        assert server.limits_reached == {"held_bytes": 1}
