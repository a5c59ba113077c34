"""The writing side of a connection, on a real socket of uvloop."""

import asyncio
import socket

import uvloop

from server.transport.connection import Connection
from server.transport.link import Link


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
