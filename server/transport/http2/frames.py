"""Frames (RFC 9113, 4 and 6): cut out of the bytes that come, and made of what is to be sent."""

from collections.abc import Iterator
from struct import Struct

from server.transport.http2.errors import ConnectionFault, ErrorCode

DATA = 0x0
HEADERS = 0x1
PRIORITY = 0x2
RST_STREAM = 0x3
SETTINGS = 0x4
PUSH_PROMISE = 0x5
PING = 0x6
GOAWAY = 0x7
WINDOW_UPDATE = 0x8
CONTINUATION = 0x9

ACK = 0x1
END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NUMBER_MAX = 2**31 - 1  # of streams, and of bytes in a window: the bit above is reserved
HEAD_BYTES = 9
PRIORITY_BYTES = 5

# Two fields for the length, for `struct` knows no integer of three bytes.
_HEAD = Struct(">HBBBL")
pack_head = _HEAD.pack
_unpack_head = _HEAD.unpack_from
_LONG = Struct(">L")

Frame = tuple[int, int, int, bytes]  # type, flags, stream, payload: a plain tuple, for speed


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """A frame as it is sent."""
    return frame_head(len(payload), kind, flags, stream_id) + payload


def frame_head(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    """What stands before a payload of `length` bytes."""
    return pack_head(length >> 8, length & 0xFF, kind, flags, stream_id)


def long_frame(kind: int, stream_id: int, value: int) -> bytes:
    """A frame whose payload is one number: WINDOW_UPDATE and RST_STREAM."""
    return frame(kind, 0, stream_id, _LONG.pack(value))


def goaway_frame(last_stream_id: int, code: int, debug: bytes) -> bytes:
    """GOAWAY: the last stream that is processed, why, and words for whoever looks for a reason."""
    payload = last_stream_id.to_bytes(4) + int(code).to_bytes(4) + debug
    return frame(GOAWAY, 0, 0, payload)


def read_long(payload: bytes, kind: str) -> int:
    """The number that is all of the payload."""
    if len(payload) != _LONG.size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"{kind} takes 4 bytes")
    return int(_LONG.unpack(payload)[0])


def without_padding(payload: bytes) -> bytes:
    """The content of a PADDED frame."""
    if not payload:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a padded frame lacks its pad length")
    end = len(payload) - payload[0]
    if end < 1:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the padding is longer than its frame")
    return payload[1:end]


class FrameReader:
    """Cuts frames out of reads of any size; holds no more than one frame that is not complete."""

    def __init__(self, frame_bytes_max: int) -> None:
        self._frame_bytes_max = frame_bytes_max
        self.partial = bytearray()  # what came of a frame that is not complete

    def read(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now; raises ConnectionFault at one that is too large."""
        at, size = 0, len(data)
        if self.partial:
            at = self._resume(data)
            if (resumed := self._resumed()) is not None:
                yield resumed
        while (start := at + HEAD_BYTES) <= size:
            high, low, kind, flags, stream_id = _unpack_head(data, at)
            if (length := high << 8 | low) > self._frame_bytes_max:
                raise self._too_large(length)
            if (end := start + length) > size:
                break
            yield kind, flags, stream_id & NUMBER_MAX, data[start:end]
            at = end
        if at < size:
            self.partial += data[at:]

    def _resume(self, data: bytes) -> int:
        """Takes what the begun frame lacks; returns where the next one begins."""
        at = max(HEAD_BYTES - len(self.partial), 0)
        self.partial += data[:at]
        if len(self.partial) >= HEAD_BYTES:
            begin, at = at, at + self._end() - len(self.partial)
            self.partial += data[begin:at]
        return min(at, len(data))

    def _resumed(self) -> Frame | None:
        partial = self.partial
        if len(partial) < HEAD_BYTES or len(partial) < self._end():
            return None
        _, _, kind, flags, stream_id = _unpack_head(partial)
        payload = bytes(partial[HEAD_BYTES:])
        partial.clear()
        return kind, flags, stream_id & NUMBER_MAX, payload

    def _end(self) -> int:
        """How long the begun frame is, its head included."""
        length = int.from_bytes(self.partial[:3])
        if length > self._frame_bytes_max:
            raise self._too_large(length)
        return HEAD_BYTES + length

    def _too_large(self, length: int) -> ConnectionFault:
        reason = f"a frame of {length} bytes; at most {self._frame_bytes_max}"
        return ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, reason, "frame_bytes")
