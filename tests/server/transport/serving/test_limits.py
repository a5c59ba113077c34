"""Every limit of a server, reached by a caller who feels it while others do not."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop
from structlog.testing import capture_logs

from server.status_code import Code
from server.transport.grpc.messages import framed, framed_gzip
from server.transport.http2.errors import ErrorCode
from server.transport.http2.frames import SETTINGS, WINDOW_UPDATE, frame, long_frame
from server.transport.http2.limits import Limits
from server.transport.serving.call import ServerCall
from server.transport.serving.holding import HELD_STEP_BYTES, STREAM_BYTES
from server.transport.serving.limits import ServerLimits
from server.transport.sockets.peer_name import counted_address
from tests.server.transport.serving.raw_caller import calling, echo, serving, soon, waiting
from tests.server.transport.turned_loop import TurnedLoop

MIB = 2**20


async def large(request: bytes, context: object) -> bytes:
    return bytes(int(request))


async def stream(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
    while True:
        yield bytes(100_000)


NARROW = Limits(stream_window_bytes=MIB, connection_window_bytes=65_535)
WIDE = Limits(stream_window_bytes=2**31 - 1, connection_window_bytes=2**31 - 1)


async def test_a_connection_too_many_is_told_to_be_calm() -> None:
    limits = ServerLimits(connections_max=1)
    async with serving(limits=limits, unary_Echo=echo) as (server, address):
        async with calling(address) as first:
            assert (await first.call("Echo")).status == Code.OK
            async with calling(address) as second:
                assert (0, ErrorCode.ENHANCE_YOUR_CALM) in await second.ended()
                assert second.received.endswith(b"connections")
            assert (await first.call("Echo")).status == Code.OK
        assert server.limits_reached == {"connections": 1}
    assert server.connections == 0


async def test_a_connection_too_many_from_one_address_is_told_to_be_calm() -> None:
    limits = ServerLimits(connections_per_address_max=1)
    async with serving(limits=limits, unary_Echo=echo) as (server, address):
        async with calling(address) as first, calling(address) as second:
            assert (await first.call("Echo")).status == Code.OK
            assert (0, ErrorCode.ENHANCE_YOUR_CALM) in await second.ended()
            assert second.received.endswith(b"connections_per_address")
        assert server.limits_reached == {"connections_per_address": 1}


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


async def endless(request: bytes, context: object) -> AsyncIterator[bytes]:
    """Says nothing, as Health/Watch while nothing changes."""
    await asyncio.Event().wait()
    yield b""


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


async def test_an_idle_connection_is_asked_to_leave() -> None:
    limits = ServerLimits(idle_s_max=0.05)
    async with serving(limits=limits, unary_Echo=echo) as (server, address):
        async with calling(address) as caller:
            assert (await caller.call("Echo")).status == Code.OK
            await caller.left()
            assert await caller.ended() == []
        assert server.limits_reached == {"idle": 1}


def test_a_connection_with_short_calls_is_not_idle() -> None:
    loop = TurnedLoop()
    limits = ServerLimits(idle_s_max=300.0, age_s_max=10_000.0)

    async def play() -> None:
        async with serving(limits=limits, unary_Echo=echo) as (server, address):
            async with calling(address) as caller:
                for _ in range(10):
                    loop.ahead_s += 200.0
                    assert (await caller.call("Echo")).status == Code.OK
                assert server.limits_reached == {}
                loop.ahead_s += 300.0
                await caller.left()
            assert server.limits_reached == {"idle": 1}

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(play())


async def test_a_connection_retires_at_its_age_and_loses_no_call() -> None:
    servicer, began, go_on, _ = waiting()
    limits = ServerLimits(age_s_max=0.05)
    async with serving(limits=limits, unary_Wait=servicer) as (server, address):
        async with calling(address) as caller:
            stream_id = caller.begin("Wait")
            caller.send(stream_id, framed(b"hello"), end=True)
            await soon(began.wait())
            assert await caller.left() == stream_id
            go_on.set()
            assert (await caller.answer(stream_id)).status == Code.OK
            assert await caller.ended() == []
        assert server.limits_reached == {"age": 1}


async def test_calls_that_outlive_their_connection_are_ended() -> None:
    servicer, _, _, cancelled = waiting()
    limits = ServerLimits(age_s_max=0.05, retirement_s_max=0.05)
    async with serving(limits=limits, unary_Wait=servicer) as (server, address):
        async with calling(address) as caller:
            answer = await caller.call("Wait")
            assert answer.status == Code.UNAVAILABLE
            await soon(cancelled.wait())
        assert server.limits_reached == {"age": 1, "retirement": 1}


async def test_a_peer_that_does_not_answer_is_given_up() -> None:
    servicer, _, _, cancelled = waiting()
    limits = ServerLimits(keepalive_s=0.05, keepalive_answer_s_max=0.05)
    async with serving(limits=limits, unary_Wait=servicer) as (server, address):
        async with calling(address) as caller:
            caller.send(caller.begin("Wait"), framed(b""), end=True)
            await soon(cancelled.wait())  # the caller reads nothing, and so acknowledges nothing
        assert server.limits_reached == {"keepalive": 1}


async def test_a_peer_that_answers_is_not_given_up() -> None:
    servicer, _, go_on, _ = waiting()
    limits = ServerLimits(keepalive_s=0.01, keepalive_answer_s_max=10.0)
    async with serving(limits=limits, unary_Wait=servicer) as (server, address):
        async with calling(address) as caller:
            stream_id = caller.begin("Wait")
            caller.send(stream_id, framed(b""), end=True)
            await caller.pinged()
            go_on.set()
            assert (await caller.answer(stream_id)).status == Code.OK
        assert server.limits_reached == {}


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("method", ["Unary", "Stream"])
def test_a_quiet_peer_that_answers_lives_through_many_rounds(
    make_loop: Callable[[], asyncio.AbstractEventLoop], method: str
) -> None:
    limits = ServerLimits(keepalive_s=0.01, keepalive_answer_s_max=10.0)
    wait, _, go_on, _ = waiting()

    async def watch(request: bytes, context: object) -> AsyncIterator[bytes]:
        yield await wait(request, context)

    async def play() -> None:
        async with serving(limits=limits, unary_Unary=wait, output_Stream=watch) as (
            server,
            address,
        ):
            async with calling(address) as caller:
                stream_id = caller.request(method, framed(b"x"))
                await caller.pinged(times=20)
                go_on.set()
                assert (await caller.answer(stream_id)).status == Code.OK
            assert server.limits_reached == {}

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(play())


async def test_a_limit_of_http2_is_counted_by_its_name() -> None:
    async with serving(unary_Echo=echo) as (server, address):
        async with calling(address) as caller:
            for _ in range(Limits().pings.burst + 1):
                caller.http2.ping(b"12345678")
            caller.flush()
            assert (0, ErrorCode.ENHANCE_YOUR_CALM) in await caller.ended()
        assert server.limits_reached == {"pings": 1}


async def test_a_limit_is_logged_with_the_address_of_who_reached_it() -> None:
    with capture_logs() as logs:
        async with serving(unary_Echo=echo) as (_, address), calling(address) as caller:
            host, port = caller.writer.get_extra_info("sockname")
            for _ in range(Limits().pings.burst + 1):
                caller.http2.ping(b"12345678")
            caller.flush()
            await caller.ended()
    (line,) = logs
    assert line == {
        "event": "limit reached",
        "limit": "pings",
        "log_level": "info",
        "peer": f"ipv4:{host}:{port}",
    }


async def test_a_peer_that_breaks_http2_is_told_why() -> None:
    async with serving(unary_Echo=echo) as (server, address):
        async with calling(address) as caller:
            await caller.beat()
            caller.writer.write(bytes(9))  # DATA that belongs to no stream
            assert (0, ErrorCode.PROTOCOL_ERROR) in await caller.ended()
        assert server.limits_reached == {}


async def test_streams_too_many_of_all_connections_are_refused_until_some_end() -> None:
    servicer, _, go_on, _ = waiting()
    limits = ServerLimits(streams_in_all_max=1)
    async with serving(limits=limits, unary_Wait=servicer, unary_Echo=echo) as (server, address):
        async with calling(address) as caller, calling(address) as other:
            streams = [caller.request("Wait", framed(b"")) for _ in range(5)]
            assert (await caller.answer(streams[4])).reset == ErrorCode.REFUSED_STREAM
            assert (await other.call("Echo")).status == Code.OK
            assert server.streams == 4
            go_on.set()
            assert (await caller.answer(streams[0])).status == Code.OK
            assert (await caller.call("Echo")).status == Code.OK
        assert server.limits_reached == {"streams_in_all": 1}
    assert server.streams == 0


async def test_streams_of_a_connection_that_is_lost_are_open_no_more() -> None:
    ended = asyncio.Event()
    servicer, began, _, _ = waiting()
    async with serving(on_ended=ended.set, unary_Wait=servicer) as (server, address):
        async with calling(address) as caller:
            caller.request("Wait", framed(b""))
            await soon(began.wait())
            assert server.streams == 1
        await soon(ended.wait())
        assert server.streams == 0


async def test_streams_too_many_are_refused() -> None:
    servicer, _, go_on, _ = waiting()
    limits = ServerLimits(http2=Limits(concurrent_streams=1))
    async with serving(limits=limits, unary_Wait=servicer) as (server, address):
        async with calling(address) as caller:
            streams = [caller.begin("Wait") for _ in range(2)]  # SETTINGS were not read yet
            for stream_id in streams:
                caller.send(stream_id, framed(b""), end=True)
            assert (await caller.answer(streams[1])).reset == ErrorCode.REFUSED_STREAM
            go_on.set()
            assert (await caller.answer(streams[0])).status == Code.OK
        assert server.limits_reached == {"concurrent_streams": 1}


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        (("10.0.0.1", 1), "10.0.0.1"),
        (("2001:db8:1:2:3:4:5:6", 1, 0, 0), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::ffff", 1, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
        (("::ffff:10.0.0.1", 1, 0, 0), "10.0.0.1"),
        ("", ""),
    ],
)
def test_a_peer_is_counted_by_what_one_machine_has_of_addresses(name: object, counted: str) -> None:
    assert counted_address(name) == counted
