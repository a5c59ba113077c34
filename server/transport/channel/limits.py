"""What a channel may hold, and how long it waits."""

from typing import NamedTuple

from server.transport.channel.keepalive import Keepalive


class ChannelLimits(NamedTuple):
    """Of the connections and calls to one endpoint."""

    # One is enough for a peer that allows a hundred streams; others allow few, or one.
    connections: int = 8
    calls: int = 1_000  # out on one connection
    calls_ever: int = 2**30 - 1  # on one connection: the numbers of streams go no further
    # Of large requests that the peer has not taken, on one connection: with a thousand small ones
    # beside them it stays below what our HTTP/2 would end the connection for.
    waiting_bytes: int = 96 * 2**20
    # Calls that wait for a stream: beyond this the endpoint is so far behind that others do better.
    waiting_calls: int = 1_000
    # How long a connection may take to come about: three round trips of half the world.
    connect_s: float = 1.0
    # What the peer has not taken so long after the goodbye is dropped with the socket.
    goodbye_s: float = 1.0
    keepalive: Keepalive = Keepalive()
