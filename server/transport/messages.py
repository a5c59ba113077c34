"""gRPC's messages: a flag, a length and the bytes, cut and joined at any place by the transport."""

import zlib
from collections import deque
from struct import Struct

from server.status_code import Code
from server.transport.status import CallRefused

_PREFIX_BYTES = 5
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way to say "with a gzip header"
# What stands before a message: 1 if it is compressed, and its length.
prefix = Struct(">BL").pack
# Chunks are joined up to this size: many that are tiny would take more than their bytes.
_CHUNK_BYTES = 4 * 2**10


def framed(message: bytes) -> bytes:
    """A message as it travels, uncompressed."""
    return prefix(0, len(message)) + message


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


def too_large(bytes_max: int) -> CallRefused:
    return CallRefused(Code.RESOURCE_EXHAUSTED, f"a message is larger than {bytes_max:,} bytes")


class MessageBuffer:
    """Takes bytes as they come and gives whole messages, in order.

    Bytes are copied once, when their message is complete; those of small chunks before it, too.
    """

    __slots__ = (
        "_bytes_max",
        "_chunks",
        "_compressed",
        "_gzip",
        "_length",
        "_offset",
        "held_bytes",
    )

    def __init__(self, message_bytes_max: int, *, gzip: bool) -> None:
        """`gzip` says whether the peer announced it; without it no message may be compressed."""
        self._bytes_max = message_bytes_max
        self._gzip = gzip
        self._chunks: deque[bytes | bytearray] = deque()
        self._offset = 0  # of the first chunk: what was taken of it
        self._length = -1  # of the message whose prefix was taken
        self._compressed = False
        self.held_bytes = 0  # not taken yet

    def append(self, data: bytes) -> None:
        if not data:
            return
        self.held_bytes += len(data)
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
        self.held_bytes = 0

    def next(self) -> bytes | None:
        """The next message, once it is whole; raises CallRefused.

        One that is too large is refused by its prefix, before it is held.
        """
        if self._length < 0:
            if self.held_bytes < _PREFIX_BYTES:
                return None
            self._begin(self._take(_PREFIX_BYTES))
        if self.held_bytes < self._length:
            return None
        body = self._take(self._length)
        self._length = -1
        return self._inflated(body) if self._compressed else body

    @property
    def is_between(self) -> bool:
        """Nothing is held, and no message has begun."""
        return self._length < 0 and not self.held_bytes

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
        self._compressed = bool(octets[0])
        self._length = length

    def _take(self, count: int) -> bytes:
        """The next `count` bytes, which have to be there."""
        self.held_bytes -= count
        pieces: list[bytes | bytearray] = []
        while count:
            first = self._chunks[0]
            piece = first[self._offset : self._offset + count]
            count -= len(piece)
            self._offset += len(piece)
            if self._offset == len(first):
                self._chunks.popleft()
                self._offset = 0
            pieces.append(piece)
        if len(pieces) == 1 and isinstance(pieces[0], bytes):
            return pieces[0]
        return b"".join(pieces)

    def _inflated(self, body: bytes) -> bytes:
        """Stops at the limit, however much would come of it."""
        inflate = zlib.decompressobj(wbits=_GZIP_WINDOW)
        try:
            message = inflate.decompress(body, self._bytes_max + 1)
        except zlib.error:
            raise CallRefused(Code.INTERNAL, "a message is not what gzip makes") from None
        if len(message) > self._bytes_max:
            raise too_large(self._bytes_max)
        if not inflate.eof or inflate.unused_data:
            raise CallRefused(Code.INTERNAL, "a message is not what gzip makes")
        return message
