"""What a server lets its peers take: connections, streams, and what HTTP/2 limits."""

import asyncio

import pytest
from structlog.testing import capture_logs

from server.status_code import Code
from server.transport.grpc.messages import framed
from server.transport.http2.errors import ErrorCode
from server.transport.http2.limits import Limits
from server.transport.serving.limits import ServerLimits
from server.transport.sockets.peer_name import counted_address
from tests.server.transport.serving.raw_caller import calling, echo, serving, soon, waiting


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
