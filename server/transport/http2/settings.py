"""SETTINGS (RFC 9113, 6.5): ours as they are sent, and the peer's as they come."""

from collections.abc import Iterator
from struct import Struct

from server.transport.http2.errors import ConnectionFault, ErrorCode
from server.transport.http2.frames import NUMBER_MAX
from server.transport.http2.limits import FRAME_BYTES_MAX, FRAME_BYTES_MIN, Limits

HEADER_TABLE_SIZE = 0x1
ENABLE_PUSH = 0x2
MAX_CONCURRENT_STREAMS = 0x3
INITIAL_WINDOW_SIZE = 0x4
MAX_FRAME_SIZE = 0x5
MAX_HEADER_LIST_SIZE = 0x6

_PARAMETER = Struct(">HL")


def settings_payload(limits: Limits, *, client: bool) -> bytes:
    """What the peer has to keep to, from `limits`."""
    ours = {
        HEADER_TABLE_SIZE: limits.header_table_bytes,
        INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
        MAX_FRAME_SIZE: limits.frame_bytes,
        MAX_HEADER_LIST_SIZE: limits.header_list_bytes,
        (ENABLE_PUSH if client else MAX_CONCURRENT_STREAMS): (
            0 if client else limits.concurrent_streams
        ),
    }
    return b"".join(_PARAMETER.pack(name, value) for name, value in sorted(ours.items()))


def read_settings(payload: bytes, *, client: bool) -> Iterator[tuple[int, int]]:
    """Each parameter, in order; raises ConnectionFault at one that breaks its bounds."""
    if len(payload) % _PARAMETER.size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS takes 6 bytes a parameter")
    for name, value in _PARAMETER.iter_unpack(payload):
        if name == INITIAL_WINDOW_SIZE and value > NUMBER_MAX:
            raise ConnectionFault(
                ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is at most 2^31-1"
            )
        if name == MAX_FRAME_SIZE and not FRAME_BYTES_MIN <= value <= FRAME_BYTES_MAX:
            raise ConnectionFault(
                ErrorCode.PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE is 2^14 to 2^24-1"
            )
        # A server may not even offer to push: it would be a promise to itself.
        if name == ENABLE_PUSH and value > (0 if client else 1):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH is 0 or 1")
        yield name, value
