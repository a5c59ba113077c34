"""Readers that keep a server waiting."""

import asyncio

import pytest

from server.status_code import Code
from server.transport.grpc.messages import framed
from server.transport.http2.errors import ErrorCode
from server.transport.http2.frames import SETTINGS, WINDOW_UPDATE, frame, long_frame
from server.transport.serving.limits import ServerLimits
from tests.server.transport.serving.answers import MIB, NARROW, WIDE, endless, large, stream
from tests.server.transport.serving.raw_caller import calling, echo, serving, soon
from tests.server.transport.turned_loop import TurnedLoop


async def test_a_reader_that_takes_nothing_is_given_up() -> None:
    ended = asyncio.Event()
    limits = ServerLimits(stall_s_max=0.1)
    async with serving(
        limits=limits, on_ended=ended.set, output_Stream=stream, unary_Echo=echo
    ) as (server, address):
        async with calling(address, WIDE) as caller, calling(address) as other:
            await caller.beat()
            caller.pause_reading()
            caller.send(caller.begin("Stream"), framed(b""), end=True)
            await soon(ended.wait())
            assert (await other.call("Echo")).status == Code.OK
        assert server.limits_reached == {"stall": 1}


@pytest.mark.parametrize("method", ["Large", "Stream"])
async def test_a_stream_whose_reader_stalls_is_ended_and_others_go_on(method: str) -> None:
    limits = ServerLimits(stall_s_max=0.1)
    async with serving(
        limits=limits,
        unary_Large=large,
        output_Stream=stream,
        output_Quiet=endless,
        unary_Echo=echo,
    ) as (server, address):
        async with calling(address) as caller:
            quiet = caller.request("Quiet", framed(b""))
            stalled = caller.request(method, framed(b"%d" % (2 * MIB)))
            assert (await caller.answer(stalled)).reset == ErrorCode.ENHANCE_YOUR_CALM
            assert (await caller.call("Echo")).status == Code.OK
            assert caller.http2.waiting_bytes(quiet) == 0
            assert server.streams == 1
        assert server.limits_reached == {"stall": 1}


async def test_a_connection_whose_window_stays_closed_is_given_up() -> None:
    limits = ServerLimits(stall_s_max=0.1)
    async with serving(limits=limits, unary_Large=large) as (server, address):
        async with calling(address, NARROW) as caller:
            caller.request("Large", framed(b"%d" % MIB))
            assert (1, ErrorCode.ENHANCE_YOUR_CALM) in await caller.ended()
            assert caller.received.endswith(b"stall")
        assert server.limits_reached == {"stall": 1}


def test_a_window_that_opens_by_a_byte_now_and_then_ends_its_stream() -> None:
    loop = TurnedLoop()

    async def play() -> None:
        async with serving(unary_Large=large, output_Quiet=endless) as (server, address):
            async with calling(address) as caller:
                quiet = caller.request("Quiet", framed(b""))
                caller.writer.write(frame(SETTINGS, 0, 0, b"\0\4" + (1_000).to_bytes(4)))
                stream_id = caller.request("Large", framed(b"%d" % (2 * MIB)))
                for _ in range(12):
                    loop.ahead_s += 5.0
                    caller.writer.write(long_frame(WINDOW_UPDATE, stream_id, 1))
                    await caller.beat()
                assert (await caller.answer(stream_id)).reset == ErrorCode.ENHANCE_YOUR_CALM
                for _ in range(80):  # until the connection is old
                    loop.ahead_s += 5.0
                    await caller.beat()
                assert caller.answers[quiet].reset is None
            assert server.limits_reached == {"stall": 1}

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(play())
