"""gRPC's messages: a flag, a length and the bytes, cut and joined at any place by the transport."""

import zlib
from collections import deque
from collections.abc import Sequence
from struct import Struct

from server.status_code import Code
from server.transport.grpc.status import CallRefused

_PREFIX_BYTES = 5
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way to say "with a gzip header"
# What stands before a message: 1 if it is compressed, and its length.
prefix = Struct(">BL").pack
# Chunks are joined up to this size: many that are tiny would take more than their bytes.
_CHUNK_BYTES = 4 * 2**10
# Larger messages are not copied behind their prefix.
JOINED_BYTES_MAX = 64 * 2**10
# A larger message is gathered in one place as it comes, and given as a view of it: joined at its
# end it would be held twice, and stand in the way while it is copied.
LARGE_BYTES = 64 * 2**10
# What is inflated before others are looked at: within a millisecond.
INFLATED_AT_ONCE_BYTES = 256 * 2**10
# Text and weights shrink to a tenth or so, zeros to a thousandth: a message that grows so much more
# than that is allowed as far as it costs nothing.
INFLATED_FREE_BYTES = 2**20
INFLATED_RATIO_MAX = 100


def framed(message: bytes) -> bytes:
    """A message as it travels, uncompressed."""
    return prefix(0, len(message)) + message


def in_pieces(parts: Sequence[bytes | memoryview], *, gzip: bool) -> Sequence[bytes | memoryview]:
    """A message as it travels: in one piece, or, if it is large, its prefix and its parts."""
    size = sum(map(len, parts))
    if gzip:
        return (framed_gzip(b"".join(parts)),)
    if size > JOINED_BYTES_MAX:
        return (prefix(0, size), *parts)
    return (b"".join((prefix(0, size), *parts)),)


def framed_gzip(message: bytes) -> bytes:
    """A message as it travels, compressed."""
    compress = zlib.compressobj(wbits=_GZIP_WINDOW)
    body = compress.compress(message) + compress.flush()
    return prefix(1, len(body)) + body


def only_message(data: bytes) -> bytes | None:
    """The message, if the data is exactly one that is not compressed: most requests are."""
    if data[:1] == b"\0" and int.from_bytes(data[1:5], "big") == len(data) - _PREFIX_BYTES >= 0:
        return data[_PREFIX_BYTES:]
    return None


def inflates_too_much() -> CallRefused:
    return CallRefused(
        Code.RESOURCE_EXHAUSTED,
        f"a message inflates to more than {INFLATED_RATIO_MAX} times its bytes: send it as it is",
    )


def too_large(bytes_max: int) -> CallRefused:
    return CallRefused(Code.RESOURCE_EXHAUSTED, f"a message is larger than {bytes_max:,} bytes")


class MessageBuffer:
    """Takes bytes as they come and gives whole messages, in order; large ones as views."""

    __slots__ = (
        "_body", "_bytes_max", "_chunks", "_gzip", "_inflate", "_left_bytes", "_length", "_offset",
        "_waiting_bytes", "is_behind", "taken_bytes",
    )  # fmt: skip

    def __init__(self, message_bytes_max: int, *, gzip: bool) -> None:
        """`gzip` says whether the peer announced it; without it no message may be compressed."""
        self._bytes_max = message_bytes_max
        self._gzip = gzip
        self._chunks: deque[bytes | bytearray] = deque()
        self._offset = 0  # of the first chunk: what was taken of it
        self._waiting_bytes = 0  # in chunks, not taken yet
        self._length = -1  # of the message whose prefix was taken
        self._left_bytes = 0  # of it, that are not in the body yet
        self._body: bytearray | None = None  # of a message that is large or compressed
        self._inflate: zlib._Decompress | None = None
        self.taken_bytes = 0  # of what came, ever
        self.is_behind = False  # `next` has stopped, and has more to inflate

    @property
    def held_bytes(self) -> int:
        """Of messages that were not given yet."""
        return self._waiting_bytes + (0 if self._body is None else len(self._body))

    def append(self, data: bytes) -> None:
        if not data:
            return
        self._waiting_bytes += len(data)
        last = self._chunks[-1] if self._chunks else b""
        if not last or len(last) + len(data) > _CHUNK_BYTES:
            self._chunks.append(data)
        elif isinstance(last, bytearray):
            last += data
        else:
            self._chunks[-1] = bytearray(last) + data

    def clear(self) -> None:
        """Drops what is held; no message may be asked for after it."""
        self._chunks.clear()
        self._waiting_bytes = 0
        self._body = self._inflate = None
        self.is_behind = False

    def next(self) -> bytes | memoryview | None:
        """The next message, once it is whole; raises CallRefused.

        One that is too large is refused by its prefix, before it is held. One that is compressed
        takes several calls where `is_behind`.
        """
        if self._length < 0:
            if self._waiting_bytes < _PREFIX_BYTES:
                return None
            self._begin(self._take(_PREFIX_BYTES))
        if self._inflate is not None:
            return self._inflated(self._inflate)
        if self._body is not None:
            return self._gathered(self._body)
        if self._waiting_bytes < self._length:
            return None
        length, self._length = self._length, -1
        return self._take(length)

    @property
    def is_between(self) -> bool:
        """Nothing is held, and no message has begun."""
        return self._length < 0 and not self._waiting_bytes

    def _begin(self, octets: bytes) -> None:
        """Takes a prefix."""
        length = int.from_bytes(octets[1:], "big")
        if octets[0] > 1:
            raise CallRefused(Code.INTERNAL, f"a message's flag is {octets[0]}, not 0 or 1")
        if octets[0] and not self._gzip:
            raise CallRefused(
                Code.INTERNAL, "a message is compressed, but no grpc-encoding is named"
            )
        if length > self._bytes_max:
            raise too_large(self._bytes_max)
        self._length = self._left_bytes = length
        if octets[0]:
            self._inflate = zlib.decompressobj(wbits=_GZIP_WINDOW)
        if octets[0] or length > LARGE_BYTES:
            self._body = bytearray()

    def _take(self, count: int) -> bytes:
        """The next `count` bytes, which have to be there."""
        pieces: list[bytes | bytearray] = []
        while count:
            piece = self._take_piece(count)
            count -= len(piece)
            pieces.append(piece)
        if len(pieces) == 1 and isinstance(pieces[0], bytes):
            return pieces[0]
        return b"".join(pieces)

    def _take_piece(self, most: int) -> bytes | bytearray:
        """Up to so many bytes of the first chunk."""
        first = self._chunks[0]
        piece = first[self._offset : self._offset + most]
        self._offset += len(piece)
        if self._offset == len(first):
            self._chunks.popleft()
            self._offset = 0
        self._waiting_bytes -= len(piece)
        self.taken_bytes += len(piece)
        return piece

    def _gathered(self, body: bytearray) -> memoryview | None:
        while self._chunks and self._left_bytes:
            piece = self._take_piece(self._left_bytes)
            body += piece
            self._left_bytes -= len(piece)
        return self._given(body) if not self._left_bytes else None

    def _inflated(self, inflate: "zlib._Decompress") -> bytes | memoryview | None:
        """Goes on to inflate, for a stretch; stops at the limits, however much would come of it."""
        assert self._body is not None, "what is inflated has a place to go to"
        body, room = self._body, INFLATED_AT_ONCE_BYTES
        while room:
            octets = inflate.unconsumed_tail or self._compressed()
            try:
                piece = inflate.decompress(octets, room)
            except zlib.error:
                raise _not_gzip() from None
            body += piece
            room -= len(piece)
            self._hold_ratio(len(body), inflate)
            if inflate.eof or not (octets or piece):  # of all that came
                break
        self.is_behind = not room and not inflate.eof
        if self.is_behind or (self._left_bytes and not inflate.eof):
            return None
        behind_its_end = self._left_bytes or inflate.unused_data or inflate.unconsumed_tail
        if not inflate.eof or behind_its_end:
            raise _not_gzip()
        message = self._given(body)
        return message if len(body) > LARGE_BYTES else bytes(message)

    def _compressed(self) -> bytes | bytearray:
        """More of the compressed message; nothing if no more has come."""
        if not (self._chunks and self._left_bytes):
            return b""
        piece = self._take_piece(self._left_bytes)
        self._left_bytes -= len(piece)
        return piece

    def _hold_ratio(self, size: int, inflate: "zlib._Decompress") -> None:
        if size > self._bytes_max:
            raise too_large(self._bytes_max)
        read_bytes = self._length - self._left_bytes - len(inflate.unconsumed_tail)
        if size > INFLATED_FREE_BYTES and size > INFLATED_RATIO_MAX * read_bytes:
            raise inflates_too_much()

    def _given(self, body: bytearray) -> memoryview:
        self._body, self._inflate, self._length = None, None, -1
        return memoryview(body).toreadonly()


def _not_gzip() -> CallRefused:
    return CallRefused(Code.INTERNAL, "a message is not what gzip makes")
