"""What a server lets its peers take."""

from dataclasses import dataclass, field

from server.transport.http2.limits import Limits


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Counted in `Server.limits_reached` by their names, without a unit or `max`."""

    # Those of HTTP/2, of each connection.
    http2: Limits = field(default_factory=Limits)
    # Of a message, inflated too, in and out: gRPC's own default.
    message_bytes_max: int = 4 * 2**20
    # Two file descriptors of three are left to others at the usual 65,536.
    connections_max: int = 16_384
    # A proxy or a machine full of clients stays below; one peer alone cannot take all.
    connections_per_address_max: int = 4_096
    # Open on all connections; each costs some 4 KB with its call, so this is some 200 MB. Beyond it
    # a connection may still have `STREAMS_ALWAYS`.
    streams_in_all_max: int = 50_000
    # Held for one connection: requests that are not complete or whose servicer waits, answers that
    # wait for a slow reader.
    held_bytes_max: int = 256 * 2**20
    # Held in all: whoever holds most then gives way.
    held_bytes_in_all_max: int = 2**30
    # Of a TLS handshake: three round trips of half the world, and a client that is busy.
    handshake_s_max: float = 10.0
    # From a unary request's head to its end: 64 MiB at 5 Mbit/s.
    request_s_max: float = 120.0
    # In which a reader that keeps us waiting has to take `STALL_BYTES`.
    stall_s_max: float = 30.0
    # Without a call: a client makes a new connection in a round trip or two.
    idle_s_max: float = 300.0
    # Of silence while calls are open and we read, before a peer is asked whether it lives; then to
    # answer.
    keepalive_s: float = 60.0
    keepalive_answer_s_max: float = 20.0
    # After which a connection retires, give or take a tenth, so that load spreads to new workers.
    age_s_max: float = 600.0
    # For the calls of a connection that retires: twice the longest default deadline.
    retirement_s_max: float = 120.0
