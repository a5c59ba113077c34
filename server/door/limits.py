"""What the door lets its peers take."""

from dataclasses import dataclass

from server.rpc.openai_body import FORWARDED_BYTES_MAX


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """Counted by their names in `limit_names.DOOR_LIMITS`, without a unit or `max`."""

    # As of gRPC's listener: clients of OpenAI keep a connection for each call that is out.
    connections_max: int = 16_384
    # A proxy or a machine full of clients stays below; one peer alone cannot take all.
    connections_per_address_max: int = 4_096
    # Of a TLS handshake: three round trips of half the world, and a client that is busy.
    handshake_s_max: float = 10.0
    # Request line and fields: twice what the largest client in use sends, as of gRPC's heads.
    head_bytes_max: int = 16 * 2**10
    # From a head's first byte to its last: it fits in one packet, or in a few.
    head_s_max: float = 10.0
    # Pictures are megabytes. What a class takes of it is the class's `request_bytes_max`.
    body_bytes_max: int = FORWARDED_BYTES_MAX
    # From a head's end to its body's: 16 MiB at 1.2 Mbit/s.
    body_s_max: float = 120.0
    # Sent before the request ahead of it is answered; no client in use does.
    ahead_bytes_max: int = 64 * 2**10
    # In which a reader that keeps us waiting has to take `STALL_BYTES`.
    stall_s_max: float = 30.0
    # Between two requests: clients and proxies keep a connection for a minute or so.
    idle_s_max: float = 300.0
    # After which a connection ends with its answer, give or take a tenth, so that load spreads to
    # new workers.
    age_s_max: float = 600.0
    # Without an event of a stream for as long, a comment is sent: proxies cut what is silent for a
    # minute or half of one, the strictest after 15 s.
    heartbeat_s: float = 10.0


# What a slow reader takes in `stall_s_max`: what a kernel buffers for the slowest of links.
STALL_BYTES = 64 * 2**10
# Written and not taken by the kernel: beyond it a stream reads no more from its model. With a piece
# of a stream on top, of 64 KiB at most as endpoints send them, a reader holds below 256 KiB.
WRITE_BUFFER_BYTES = 64 * 2**10
# An open connection with its parser, its task, a head and what is less than a step of its bytes.
CONNECTION_BYTES = 32 * 2**10
