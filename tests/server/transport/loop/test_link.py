"""The writing side of a connection, on a real socket of uvloop."""

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from server.transport.http2.connection import Connection
from server.transport.loop.link import Link
from tests.server.transport.serving.raw_caller import soon


def test_what_is_said_to_a_transport_that_was_closed_is_dropped() -> None:
    async def say() -> int:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            transport, _ = await loop.create_unix_connection(asyncio.Protocol, sock=ours)
            link = Link(Connection(client=True), loop, lambda: None)
            link.transport = transport
            transport.abort()
            for _ in range(3):  # the handle is closed by then, and a write to it would raise
                await asyncio.sleep(0)
            link.flush()
        return link.written_bytes

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(say()) == 0


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_bytes_have_arrived_when_the_machine_of_the_peer_has_them(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def say() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            peer = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
        peer.setblocking(False)
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        link = Link(Connection(client=True), loop, lambda: None)
        link.transport = transport
        link.written_bytes = 32 * 2**20  # more than two kernels buffer
        transport.write(bytes(link.written_bytes))
        assert 0 <= link.arrived_bytes < link.written_bytes
        for _ in range(3):
            await asyncio.sleep(0)
        assert link.buffered_bytes > 0
        left = link.written_bytes
        while left:
            left -= len(await soon(loop.sock_recv(peer, 2**20)))
        # The kernel's count has no event that could be awaited.
        while link.arrived_bytes < link.written_bytes:  # noqa: ASYNC110
            await asyncio.sleep(0)
        peer.close()
        transport.abort()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(say())
