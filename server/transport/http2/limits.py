"""What one connection may cost us. Reaching a limit ends that connection; others feel nothing."""

from dataclasses import dataclass

from server.transport.http2.frames import NUMBER_MAX

KIB = 1024
MIB = 1024 * KIB
# What a peer may assume before it has read our SETTINGS: less could not be held against it.
WINDOW_BYTES_MIN = 65_535
CONTROL_BYTES_MIN = 256  # how a connection begins, and how it ends
FRAME_BYTES_MIN = 16_384
FRAME_BYTES_MAX = 2**24 - 1


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many more a second."""

    burst: int
    per_s: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a connection; a name here is the `limit` that ConnectionEnded tells."""

    # A stream costs a few KB with its call. One too many is refused: a client may retry it.
    concurrent_streams: int = 1_000
    # A client that has not read our SETTINGS yet may open many too many, in all honesty, but once.
    refused_streams: Rate = Rate(5_000, 100)
    # The fields of a head, as SETTINGS_MAX_HEADER_LIST_SIZE counts them: twice what gRPC accepts.
    header_list_bytes: int = 16 * KIB
    # The same still compressed: Huffman coding makes no field longer than fourfold.
    header_block_bytes: int = 64 * KIB
    # 64 KiB need four frames; frames that carry little are made to cost work (CVE-2024-27316).
    continuation_frames: int = 32
    # What RFC 7541 starts with: it holds some 40 fields, more than the calls of a client share.
    header_table_bytes: int = 4 * KIB
    # The smallest that RFC 9113 lets us set: larger frames gain nothing and are held while cut.
    frame_bytes: int = FRAME_BYTES_MIN
    # What an application that reads slowly makes us hold: a stream's share, and the connection's.
    stream_window_bytes: int = MIB
    connection_window_bytes: int = 4 * MIB
    # Cancelled calls cost more than they pay (CVE-2023-44487); deadlines that pass cancel too.
    peer_resets: Rate = Rate(1_000, 200)
    # Errors that make us reset: an honest peer makes none ("MadeYouReset", CVE-2025-8671).
    stream_errors: Rate = Rate(100, 10)
    # DATA, HEADERS and CONTINUATION without content or end: allowed, and of no use.
    empty_frames: Rate = Rate(100, 10)
    # Keepalive; probes of bandwidth come once for each DATA frame of ours, which earns one.
    pings: Rate = Rate(100, 10)
    # Peers that tune their windows change them a few times a second.
    settings: Rate = Rate(100, 10)
    # Each DATA frame of ours earns two, one for each level: these are for the start.
    window_updates: Rate = Rate(5_000, 100)
    # DATA frames that a window cut below TINY_FRAME_BYTES; a full one earns one.
    tiny_frames: Rate = Rate(1_000, 100)
    # PRIORITY and unknown types say nothing to us; clients of RFC 7540 send some. Of a stream that
    # we closed, empty DATA is often its end; a head that is too large is not, and costs reading.
    ignored_frames: Rate = Rate(1_000, 100)
    # Acknowledgements, resets and updates that the peer causes in one turn, read or not.
    control_output_bytes: int = 64 * KIB
    # What waits for the peer's windows: two of the largest messages.
    waiting_bytes: int = 128 * MIB + 64 * KIB
    # What one turn makes: of data no more than a write or two, and a thousand heads of 8 KiB.
    output_bytes: int = 8 * MIB

    def __post_init__(self) -> None:
        _within("control_output_bytes", self.control_output_bytes, CONTROL_BYTES_MIN, 16 * MIB)
        _within("frame_bytes", self.frame_bytes, FRAME_BYTES_MIN, FRAME_BYTES_MAX)
        _within("header_table_bytes", self.header_table_bytes, 0, MIB)
        for name in ("stream_window_bytes", "connection_window_bytes"):
            _within(name, getattr(self, name), WINDOW_BYTES_MIN, NUMBER_MAX)


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}; it must be between {least} and {most}")
