"""Calls of prepared bytes on one raw connection, as fast as the server's windows let them go."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from benchmarks.soak import raw
from benchmarks.soak.raw import Frame, Peer, frame
from benchmarks.soak.tally import Fault
from server.status_code import Code
from server.transport.http2.hpack.decoder import Decoder

_INITIAL_WINDOW_SIZE = 4
_WINDOW_BYTES = 65_535
WINDOW_BYTES_MAX = 2**31 - 1
_FRAME_BYTES = 16_384


class Ended(Exception):
    """The server ended the connection; the message says how."""


class Request(NamedTuple):
    """A call as it travels, but for the number of its stream."""

    block: bytes
    pieces: tuple[bytes, ...]  # of a DATA frame each

    @property
    def size_bytes(self) -> int:
        return len(self.block) + sum(map(len, self.pieces))


def request(path: str, message: bytes) -> Request:
    return _framed(raw.block(path), b"\0", message)


def zipped(path: str, message: bytes) -> Request:
    return _framed(raw.block(path, ("grpc-encoding", "gzip")), b"\1", gzip.compress(message))


def _framed(block: bytes, flag: bytes, message: bytes) -> Request:
    octets = flag + len(message).to_bytes(4) + message
    pieces = (octets[at : at + _FRAME_BYTES] for at in range(0, len(octets), _FRAME_BYTES))
    return Request(block, tuple(pieces))


class _Call:
    def __init__(self, stream_id: int, window: int) -> None:
        self.stream_id = stream_id
        self.window = window
        self.begun = asyncio.Event()  # its answer has
        self.how = ""  # it ended, once it has
        self.ended = asyncio.Event()

    def end(self, how: str) -> None:
        self.how = self.how or how
        self.begun.set()
        self.ended.set()


class Session:
    """Reads all the while that it is open; made by `session`."""

    def __init__(self, peer: Peer, window: int) -> None:
        self.peer = peer
        self._window = self._stream_window = _WINDOW_BYTES  # what we may send
        self._calls: dict[int, _Call] = {}
        self._next_stream = 1
        self._opened = asyncio.Event()  # a window was
        self._decoder = Decoder()
        self.why_over = ""
        self.sent_bytes = 0
        wide_open = (WINDOW_BYTES_MAX - _WINDOW_BYTES).to_bytes(4)
        peer.say(
            raw.PREFACE
            + frame(raw.SETTINGS, 0, 0, raw.setting(_INITIAL_WINDOW_SIZE, window))
            + frame(raw.WINDOW_UPDATE, 0, 0, wide_open)
        )

    async def call(self, request: Request, *, ends: bool = True) -> str:
        """The name of the status; raises Ended. Without its last frame the request has no end."""
        call = await self._begin(request, ends=ends)
        await call.ended.wait()
        return self._done(call)

    async def begin(self, request: Request) -> None:
        """Returns when the answer has begun; raises Ended."""
        call = await self._begin(request, ends=True)
        await call.begun.wait()
        self._done(call)

    async def _begin(self, request: Request, *, ends: bool) -> _Call:
        stream_id, self._next_stream = self._next_stream, self._next_stream + 2
        call = self._calls[stream_id] = _Call(stream_id, self._stream_window)
        self._say(frame(raw.HEADERS, raw.END_HEADERS, stream_id, request.block))
        for piece in request.pieces[:-1]:
            await self._send(call, frame(raw.DATA, 0, stream_id, piece))
        if ends:
            await self._send(call, frame(raw.DATA, raw.END_STREAM, stream_id, request.pieces[-1]))
        return call

    def _done(self, call: _Call) -> str:
        del self._calls[call.stream_id]
        if self.why_over:
            raise Ended(self.why_over)
        return call.how

    async def _send(self, call: _Call, data: bytes) -> None:
        """Nothing more of a call that has ended, such as one that was too large."""
        size = len(data) - raw.HEAD_BYTES
        while min(self._window, call.window) < size and not call.how:
            await self._opened.wait()
        if not call.how:
            self._window -= size
            call.window -= size
            self._say(data)

    def _say(self, octets: bytes) -> None:
        if self.why_over:
            raise Ended(self.why_over)
        self.peer.say(octets)
        self.sent_bytes += len(octets)

    async def read(self) -> None:
        """Until the connection ends; then so do the calls that are out."""
        try:
            while (heard := await self.peer.heard()) is not None:
                self._take(heard)
            self.why_over = self.why_over or "closed without a word"
        except Fault as fault:
            self.why_over = str(fault)
        for call in self._calls.values():
            call.end(self.why_over)
        self._wake()

    def _take(self, heard: Frame) -> None:
        if heard.kind == raw.HEADERS:
            self._take_headers(heard)
        elif heard.kind == raw.WINDOW_UPDATE:
            self._take_window(heard.stream_id, int.from_bytes(heard.payload))
        elif heard.kind == raw.RST_STREAM:
            self._end(heard.stream_id, f"reset {int.from_bytes(heard.payload)}")
        elif heard.kind == raw.SETTINGS and not heard.flags & raw.ACK:
            self._take_settings(heard.payload)
        elif heard.kind == raw.PING and not heard.flags & raw.ACK:
            self.peer.say(frame(raw.PING, raw.ACK, 0, heard.payload))
        elif heard.kind == raw.GOAWAY:
            self.why_over = f"GOAWAY {raw.code(heard)} {heard.payload[8:].decode()}".rstrip()

    def _take_headers(self, heard: Frame) -> None:
        fields = dict(self._decoder.decode(heard.payload))
        call = self._calls.get(heard.stream_id)
        if call is not None:
            call.begun.set()
        if heard.flags & raw.END_STREAM:
            status = fields.get(b"grpc-status", b"")
            self._end(heard.stream_id, Code(int(status)).name if status else "no status")

    def _end(self, stream_id: int, how: str) -> None:
        if (call := self._calls.get(stream_id)) is not None:
            call.end(how)
            self._wake()

    def _take_settings(self, payload: bytes) -> None:
        for at in range(0, len(payload), 6):
            if int.from_bytes(payload[at : at + 2]) == _INITIAL_WINDOW_SIZE:
                window = int.from_bytes(payload[at + 2 : at + 6])
                for call in self._calls.values():
                    call.window += window - self._stream_window
                self._stream_window = window
        self.peer.say(frame(raw.SETTINGS, raw.ACK, 0))
        self._wake()

    def _take_window(self, stream_id: int, more: int) -> None:
        if stream_id == 0:
            self._window += more
        elif (call := self._calls.get(stream_id)) is not None:
            call.window += more
        self._wake()

    def _wake(self) -> None:
        """All who wait look again."""
        self._opened.set()
        self._opened = asyncio.Event()


@asynccontextmanager
async def session(peer: Peer, *, window: int = WINDOW_BYTES_MAX) -> AsyncIterator[Session]:
    """On a connection that nothing was said on yet; `window` is that of each answer."""
    made = Session(peer, window)
    reading = asyncio.create_task(made.read())
    try:
        yield made
    finally:
        reading.cancel()
