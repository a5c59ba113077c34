"""Where a request ends: one at a time, and nothing that two parsers may read differently.

A proxy before the door and the parser behind this have to agree on where each request ends, or one
caller's bytes become another's request. So what RFC 9112 leaves to taste is refused before it is
parsed: a length and an encoding together, two of either, a bare LF, a folded field, extensions of a
chunk, trailers. Bytes in, bytes out; no I/O.
"""

import re
from collections.abc import Callable

# One line each, every quantifier possessive: it is walked once.
_HEAD = re.compile(
    rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[!-~]*+) HTTP/1\.([01])\r\n"
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n"
)
_FRAMING_FIELD = re.compile(
    rb"\n(host|content-length|transfer-encoding|upgrade):[ \t]*+([^\r]*+)", re.IGNORECASE
)
_LENGTH = re.compile(rb"[0-9]{1,15}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_LINE_BYTES_MAX = 8  # of a chunk's size
_END, _BLANK = b"\r\n", b"\r\n\r\n"


class FramingError(Exception):
    """What came is no request that the door takes; the message says what is wrong with it."""


class HeadTooLarge(FramingError):
    """A head is longer than it may be."""

    limit = "head_bytes"


class TooFarAhead(FramingError):
    """More was sent ahead of an answer than is kept."""

    limit = "ahead"


class Framing:
    """Of one connection. What comes behind the end of a request waits until `next`."""

    def __init__(self, *, head_bytes_max: int, ahead_bytes_max: int) -> None:
        self._head_bytes_max = head_bytes_max
        self._ahead_bytes_max = ahead_bytes_max
        self._waiting = bytearray()  # what is not complete yet, or ahead of its time
        self._left = 0  # bytes of a body, or of a chunk, that are still to come
        self._step: Callable[[], bytes] = self._head
        self.begins = False  # a head was cut; whoever has seen it says so

    @property
    def is_complete(self) -> bool:
        """The request is here to its last byte."""
        return self._step == self._rest

    @property
    def is_begun(self) -> bool:
        """Some of a head is here, and not all of it."""
        return self._step == self._head and bool(self._waiting)

    def receive(self, data: bytes) -> bytes:
        """What of it the parser may see now; raises FramingError."""
        if self._step == self._body and not self._waiting and len(data) <= self._left:
            self._left -= len(data)  # most of a large body
            if not self._left:
                self._step = self._rest
            return data
        self._waiting += data
        fit = bytearray()
        while cut := self._step():
            fit += cut
        return bytes(fit)

    def next(self) -> bytes:
        """The answer is out: what of the next request is here already; raises FramingError."""
        self._step = self._head
        return self.receive(b"")

    # Each step cuts what it can from what waits, and is followed by itself or another.

    def _head(self) -> bytes:
        end = self._waiting.find(_BLANK)
        if end < 0:
            self._hold_head(len(self._waiting))
            # The blank line of one who ends lines by LF alone would never be found.
            if b"\n\n" in self._waiting:
                raise FramingError("a line of the head ends without CR")
            return b""
        self._hold_head(end)
        head = self._cut(end + len(_BLANK))
        self._step, self.begins = self._after(head), True
        return head

    def _hold_head(self, size_bytes: int) -> None:
        if size_bytes > self._head_bytes_max:
            raise HeadTooLarge(f"the head is longer than {self._head_bytes_max:,} bytes")

    def _after(self, head: bytes) -> Callable[[], bytes]:
        """What has to follow this head."""
        line = _HEAD.fullmatch(head)
        if line is None:
            raise FramingError(_fault(head))
        is_old = line[2] == b"0"
        fields = [(name.lower(), value.rstrip(b" \t")) for name, value in _framing(head)]
        names = [name for name, _ in fields]
        given = dict(fields)
        if len(given) != len(names):
            raise FramingError(f"{_repeated(names)} is given twice")
        if not is_old and b"host" not in given:
            raise FramingError("host is missing")
        if given.get(b"upgrade", b"").lower() == b"websocket":
            raise FramingError("websockets are not served here")
        return self._body_of(given, is_old=is_old)

    def _body_of(self, given: dict[bytes, bytes], *, is_old: bool) -> Callable[[], bytes]:
        length, encoding = given.get(b"content-length"), given.get(b"transfer-encoding")
        if encoding is not None:
            if length is not None or is_old:
                raise FramingError("transfer-encoding stands beside a length, or in HTTP/1.0")
            if encoding.lower() != b"chunked":
                raise FramingError("transfer-encoding is something else than chunked")
            return self._chunk
        if length is not None and not _LENGTH.fullmatch(length):
            raise FramingError("content-length is no number")
        self._left = int(length or b"0")
        return self._body if self._left else self._rest

    def _body(self) -> bytes:
        data = self._cut(self._left)
        self._left -= len(data)
        if not self._left:
            self._step = self._rest
        return data

    def _chunk(self) -> bytes:
        """The line with a chunk's size."""
        line = self._line(_LINE_BYTES_MAX)
        if not line:
            return b""
        if not _CHUNK_SIZE.fullmatch(line[:-2]):
            raise FramingError("the size of a chunk is a hexadecimal number, and nothing else")
        self._left = int(line[:-2], 16)
        self._step = self._chunk_data if self._left else self._last
        return line

    def _chunk_data(self) -> bytes:
        data = self._cut(self._left)
        self._left -= len(data)
        if not self._left:
            self._step = self._chunk_end
        return data

    def _chunk_end(self) -> bytes:
        return self._empty_line("a chunk is longer than its size", self._chunk)

    def _last(self) -> bytes:
        return self._empty_line("trailers are not taken", self._rest)

    def _rest(self) -> bytes:
        """What belongs to the next request."""
        if len(self._waiting) > self._ahead_bytes_max:
            raise TooFarAhead(f"{self._ahead_bytes_max:,} bytes may be sent ahead of an answer")
        return b""

    def _empty_line(self, fault: str, step: Callable[[], bytes]) -> bytes:
        line = self._cut(len(_END)) if len(self._waiting) >= len(_END) else b""
        if line and line != _END:
            raise FramingError(fault)
        if line:
            self._step = step
        return line

    def _line(self, bytes_max: int) -> bytes:
        """With its end; empty until it is here."""
        end = self._waiting.find(_END, 0, bytes_max + len(_END))
        if end < 0 and len(self._waiting) > bytes_max + len(_END):
            raise FramingError("the size of a chunk is a hexadecimal number, and nothing else")
        return self._cut(end + len(_END)) if end >= 0 else b""

    def _cut(self, size_bytes: int) -> bytes:
        data = bytes(self._waiting[:size_bytes])
        del self._waiting[:size_bytes]
        return data


def _framing(head: bytes) -> list[tuple[bytes, bytes]]:
    """The fields that say where the request ends, or whom it is for."""
    return _FRAMING_FIELD.findall(head)


def _repeated(names: list[bytes]) -> str:
    return next(name for name in names if names.count(name) > 1).decode()


def _fault(head: bytes) -> str:
    """What is wrong with a head, as near as it can be told without repeating it."""
    lines = head.replace(_END, b"\0")
    if b"\n" in lines or b"\r" in lines:
        return "a line of the head ends without CR LF"
    if b"\0 " in lines or b"\0\t" in lines:
        return "a field of the head is folded"
    return "the head is no request of HTTP/1.1 for a path of this server"
