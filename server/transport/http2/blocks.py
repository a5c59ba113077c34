"""Header blocks in HEADERS and CONTINUATION frames: put together, and cut (RFC 9113, 4.3)."""

from server.transport.http2 import frames
from server.transport.http2.errors import ConnectionFault, ErrorCode, limit_reached
from server.transport.http2.floods import Floods
from server.transport.http2.frames import pack_head
from server.transport.http2.limits import FRAME_BYTES_MIN, Limits

_PLAIN = frames.END_HEADERS
_NOT_PLAIN = frames.END_HEADERS | frames.PADDED | frames.WITH_PRIORITY


class Blocks:
    """Holds the one block that may be incomplete; between its frames no other may stand."""

    def __init__(self, limits: Limits, floods: Floods) -> None:
        self._limits = limits
        self._floods = floods
        self._stream_id = 0  # none
        self.end_stream = False  # what the HEADERS frame of the last block in parts said
        self.octets = bytearray()  # what came of a block that is not complete
        self._continuations = 0

    def begin(self, flags: int, stream_id: int, payload: bytes) -> bytes | None:
        """The block of a HEADERS frame, if it is complete with it."""
        if stream_id == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS needs a stream")
        if flags & _NOT_PLAIN != _PLAIN:
            payload = _fragment(flags, payload)
        if flags & frames.END_HEADERS:
            return payload
        self._stream_id, self.end_stream = stream_id, flags & frames.END_STREAM != 0
        self._add(payload)
        return None

    def go_on(self, flags: int, stream_id: int, payload: bytes) -> bytes | None:
        """The block, if this CONTINUATION frame ends it."""
        if stream_id != self._stream_id or stream_id == 0:
            raise ConnectionFault(
                ErrorCode.PROTOCOL_ERROR, "CONTINUATION follows HEADERS of its own stream only"
            )
        self._continuations += 1
        if self._continuations > self._limits.continuation_frames:
            raise limit_reached("a header block has too many frames", "continuation_frames")
        self._add(payload)
        if not flags & frames.END_HEADERS:
            return None
        block = bytes(self.octets)
        self.octets.clear()
        self._stream_id = self._continuations = 0
        return block

    def _add(self, fragment: bytes) -> None:
        if not fragment:
            self._floods.count("empty_frames")
        self.octets += fragment
        if len(self.octets) > self._limits.header_block_bytes:
            raise limit_reached("a header block is too long", "header_block_bytes")


def _fragment(flags: int, payload: bytes) -> bytes:
    """What is left without padding and priority."""
    if flags & frames.PADDED:
        payload = frames.without_padding(payload)
    if not flags & frames.WITH_PRIORITY:
        return payload
    if len(payload) < frames.PRIORITY_BYTES:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS lacks the priority it announces")
    return payload[frames.PRIORITY_BYTES :]


def header_frames(stream_id: int, block: bytes, flags: int) -> bytes:
    """A block as it is sent: one HEADERS frame, nearly always; of a longer one CONTINUATION too."""
    size = len(block)
    if size <= FRAME_BYTES_MIN:
        flags |= frames.END_HEADERS
        return pack_head(size >> 8, size & 0xFF, frames.HEADERS, flags, stream_id) + block
    parts = [frames.frame(frames.HEADERS, flags, stream_id, block[:FRAME_BYTES_MIN])]
    for at in range(FRAME_BYTES_MIN, size, FRAME_BYTES_MIN):
        last = frames.END_HEADERS if at + FRAME_BYTES_MIN >= size else 0
        part = block[at : at + FRAME_BYTES_MIN]
        parts.append(frames.frame(frames.CONTINUATION, last, stream_id, part))
    return b"".join(parts)
