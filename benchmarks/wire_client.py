"""The cheapest gRPC client there is: header blocks and frames made by hand, answers hardly read.

It shares no code with the transport that it measures.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, cast

from hpack import Decoder, Encoder

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
_INITIAL_WINDOW_SIZE = 4
_HEAD_BYTES = 9
_FRAME_BYTES = 16_384
_WINDOW_BYTES = 65_535
_WINDOW_BYTES_MAX = 2**31 - 1

# The same for each call; fresh values as they are; fresh values, Huffman-coded.
Metadata = Literal["fixed", "fresh", "huffman"]


class Target(NamedTuple):
    """What to call."""

    address: str
    method: str
    tls: bool


class CallFailed(Exception):
    """A call was not answered with a status that was expected."""


class Heads:
    """Header blocks of requests, with the two values that differ in each call of real clients."""

    def __init__(self, target: Target, metadata: Metadata, chance: random.Random) -> None:
        self._chance = chance
        self._metadata = metadata
        self._encoder = Encoder()
        self._constant = [
            (":method", "POST"),
            (":scheme", "https" if target.tls else "http"),
            (":path", target.method),
            (":authority", target.address),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("user-agent", "grpc-python/1.80.0 grpc-c/44.0.0 (linux; chttp2)"),
        ]
        self._traceparent = self._fresh_traceparent()

    def next(self) -> bytes:
        """The next block; blocks of one connection are decoded in the order they were made."""
        # What is the same for all calls is indexed, by the second call at the latest.
        block: bytes = self._encoder.encode(self._constant, huffman=False)
        if self._metadata == "fixed":
            fixed = [("grpc-timeout", "10S"), ("traceparent", self._traceparent)]
            return block + self._encoder.encode(fixed, huffman=False)
        huffman = self._metadata == "huffman"
        timeout = f"{self._chance.randrange(9_000_000, 10_000_000)}u"
        return block + b"".join(
            _literal(self._encoder, name, value, huffman=huffman)
            for name, value in (
                ("grpc-timeout", timeout),
                ("traceparent", self._fresh_traceparent()),
            )
        )

    def _fresh_traceparent(self) -> str:
        trace, span = self._chance.getrandbits(128), self._chance.getrandbits(64)
        return f"00-{trace:032x}-{span:016x}-00"


def _literal(encoder: Encoder, name: str, value: str, *, huffman: bool) -> bytes:
    """A literal without indexing, its name new: how grpcio sends what differs each time."""
    parts = [name.encode(), value.encode()]
    if huffman:
        coded = [encoder.huffman_coder.encode(part) for part in parts]
        return b"\x00" + b"".join(bytes((0x80 | len(part),)) + part for part in coded)
    return b"\x00" + b"".join(bytes((len(part),)) + part for part in parts)


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    head = (len(payload) << 8 | kind).to_bytes(4) + bytes((flags,)) + stream.to_bytes(4)
    return head + payload


class Connection(asyncio.Protocol):
    """One connection, its calls in flight, and what waits for the server's windows."""

    def __init__(
        self,
        heads: Heads,
        request: bytes,
        answer_bytes_min: int,
        on_answered: Callable[[float], None],
        now_s: Callable[[], float],
        statuses: Iterable[int] = (0,),
    ) -> None:
        """`statuses` are those that are expected."""
        self._statuses = frozenset(b"%d" % status for status in statuses)
        self._heads = heads
        self._body = b"\0" + len(request).to_bytes(4) + request
        self._answer_bytes_min = answer_bytes_min
        self._on_answered = on_answered
        self._now_s = now_s
        self._decoder = Decoder()
        self._received = b""
        self._next_stream = 1
        self._read_s = 0.0
        self._due_s: dict[int, float] = {}
        self._answer_bytes: dict[int, int] = {}
        self._window = _WINDOW_BYTES
        self._stream_window = _WINDOW_BYTES
        self._stream_windows: dict[int, int] = {}
        self._waiting: deque[tuple[int, memoryview]] = deque()
        self.failure: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's derive from nothing
        # Windows so wide that answers never wait: what is measured is the server.
        settings = _INITIAL_WINDOW_SIZE.to_bytes(2) + _WINDOW_BYTES_MAX.to_bytes(4)
        widen = (_WINDOW_BYTES_MAX - _WINDOW_BYTES).to_bytes(4)
        self._transport.write(
            _PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, widen)
        )

    def send(self, calls: int, due_s: float) -> None:
        """Sends calls in one write, as far as the windows let them."""
        out: list[bytes] = []
        for _ in range(calls):
            stream, self._next_stream = self._next_stream, self._next_stream + 2
            self._due_s[stream] = due_s
            self._answer_bytes[stream] = 0
            self._stream_windows[stream] = self._stream_window
            out.append(_frame(_HEADERS, _END_HEADERS, stream, self._heads.next()))
            self._waiting.append((stream, memoryview(self._body)))
            self._drain(out)
        self._transport.write(b"".join(out))

    def close(self) -> None:
        """Ends the connection."""
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._due_s:
            self.failure = exc or CallFailed("the connection ended with calls in flight")

    def data_received(self, data: bytes) -> None:
        self._read_s = self._now_s()  # to take answers apart is the generator's own time
        data = self._received + data
        at, end = 0, len(data)
        out: list[bytes] = []
        while end - at >= _HEAD_BYTES:
            size = int.from_bytes(data[at : at + 3])
            if end - at < _HEAD_BYTES + size:
                break
            payload = data[at + _HEAD_BYTES : at + _HEAD_BYTES + size]
            stream = int.from_bytes(data[at + 5 : at + 9]) & _WINDOW_BYTES_MAX
            self._take(data[at + 3], data[at + 4], stream, payload, out)
            at += _HEAD_BYTES + size
        self._received = data[at:]
        self._drain(out)
        if out:
            self._transport.write(b"".join(out))

    def _take(self, kind: int, flags: int, stream: int, payload: bytes, out: list[bytes]) -> None:
        if kind == _DATA:
            self._answer_bytes[stream] += len(payload)
        elif kind == _HEADERS:
            headers = dict(self._decoder.decode(payload, raw=True))
            if flags & _END_STREAM:
                self._answered(stream, headers)
        elif kind == _WINDOW_UPDATE:
            self._widen(stream, int.from_bytes(payload))
        elif kind == _SETTINGS and not flags & _ACK:
            self._settle(payload)
            out.append(_frame(_SETTINGS, _ACK, 0))
        elif kind == _PING and not flags & _ACK:
            out.append(_frame(_PING, _ACK, 0, payload))
        elif kind in (_RST_STREAM, _GOAWAY):
            self.failure = CallFailed(f"frame of type {kind}: {payload!r}")

    def _answered(self, stream: int, headers: dict[bytes, bytes]) -> None:
        answer_bytes = self._answer_bytes.pop(stream)
        if (
            headers.get(b"grpc-status") not in self._statuses
            or answer_bytes < self._answer_bytes_min
        ):
            self.failure = CallFailed(f"answered with {answer_bytes} bytes and {headers}")
        self._stream_windows.pop(stream, None)
        self._on_answered(self._read_s - self._due_s.pop(stream))

    def _settle(self, payload: bytes) -> None:
        for at in range(0, len(payload), 6):
            if int.from_bytes(payload[at : at + 2]) == _INITIAL_WINDOW_SIZE:
                wider = int.from_bytes(payload[at + 2 : at + 6]) - self._stream_window
                self._stream_window += wider
                for stream in self._stream_windows:
                    self._stream_windows[stream] += wider

    def _widen(self, stream: int, by: int) -> None:
        if stream == 0:
            self._window += by
        elif stream in self._stream_windows:
            self._stream_windows[stream] += by

    def _drain(self, out: list[bytes]) -> None:
        """Bodies in turn: the first that its own window holds lets the next ones go."""
        for _ in range(len(self._waiting)):
            stream, left = self._waiting.popleft()
            while left and (room := self._room(stream)):
                part, left = left[:room], left[room:]
                self._window -= len(part)
                self._stream_windows[stream] -= len(part)
                out.append(_frame(_DATA, 0 if left else _END_STREAM, stream, bytes(part)))
            if left and stream in self._stream_windows:
                self._waiting.append((stream, left))

    def _room(self, stream: int) -> int:
        return max(0, min(self._window, self._stream_windows.get(stream, 0), _FRAME_BYTES))
