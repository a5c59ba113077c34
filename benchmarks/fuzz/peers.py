"""Who is at the other end of a connection, in the same process and without a socket."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from benchmarks.fuzz.loop import TurnLoop
from server.status_code import Code
from server.transport.grpc.messages import prefix
from server.transport.http2.connection import Connection
from server.transport.http2.events import (
    ConnectionEnded,
    DataReceived,
    GoAwayReceived,
    Headers,
    HeadersReceived,
    StreamReset,
    TrailersReceived,
)
from server.transport.serving.connection import ServerConnection

# As uvloop reads: so much at once, so often in a turn unless reading is paused.
READ_BYTES, READS_A_TURN = 256 * 1_024, 32
_ADDRESS = ("192.0.2.1", 50_000)
_TEXT_CHARS_MAX = 60


class Wire(asyncio.Transport):
    """Takes all that is written at once, and gives what it is told to give."""

    def __init__(
        self, loop: TurnLoop, protocol: asyncio.Protocol, heard: Callable[[bytes], None]
    ) -> None:
        """What is written goes to `heard`, which is no work of the code under test."""
        super().__init__({"peername": _ADDRESS})
        self._loop = loop
        self._protocol = protocol
        self._heard = heard
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._is_closing = False
        self.closed = asyncio.Event()

    async def give(self, octets: bytes, read_bytes: int = READ_BYTES) -> None:
        """Returns when all was read, or the connection was closed."""
        at = 0
        while at < len(octets) and not self._is_closing:
            await self._resumed.wait()
            for _ in range(READS_A_TURN):
                if at >= len(octets) or self._is_closing or not self._resumed.is_set():
                    break
                self._protocol.data_received(octets[at : at + read_bytes])
                at += read_bytes
            await asyncio.sleep(0)

    def write(self, data: Any) -> None:
        with self._loop.beside():
            self._heard(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        for data in list_of_data:
            self.write(data)

    def pause_reading(self) -> None:
        self._resumed.clear()

    def resume_reading(self) -> None:
        self._resumed.set()

    def is_reading(self) -> bool:
        return self._resumed.is_set()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered."""

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """The other side goes on until it is closed."""

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._resumed.set()
            self._loop.call_soon(self._lost)

    def abort(self) -> None:
        self.close()

    def _lost(self) -> None:
        self._protocol.connection_lost(None)
        self.closed.set()


class Caller:
    """An honest client of one server connection: keeps to windows, reads every answer."""

    def __init__(self, loop: TurnLoop, served: ServerConnection) -> None:
        self._loop = loop
        self._http2 = Connection(client=True)
        self._said = asyncio.Event()  # there is something to give
        self._ended = asyncio.Event()
        self.outcome = ""
        self.wire = Wire(loop, served, self._hear)
        served.connection_made(self.wire)
        self._giving = loop.create_task(self._give())

    async def greet(self) -> None:
        """Until both know the other's SETTINGS."""
        self._said.set()
        for _ in range(8):
            await asyncio.sleep(0)

    def begin(self, headers: Headers, message: bytes, *, is_gzip: bool) -> None:
        framed = prefix(int(is_gzip), len(message)) + message
        self._http2.request(headers, framed)

    async def answered(self, patience_s: float) -> str:
        """How the call ended; "open" where it has not."""
        self._said.set()
        try:
            async with asyncio.timeout(patience_s):
                await self._ended.wait()
        except TimeoutError:
            return "open"
        return self.outcome

    async def leave(self) -> None:
        self._giving.cancel()
        self.wire.abort()
        await self.wire.closed.wait()
        for _ in range(4):  # tasks that were cancelled end
            await asyncio.sleep(0)

    async def _give(self) -> None:
        while True:
            await self._said.wait()
            self._said.clear()
            with self._loop.beside():
                octets = self._http2.take_output()
            await self.wire.give(octets)

    def _hear(self, data: bytes) -> None:
        for event in self._http2.receive(data, 0.0):
            if isinstance(event, DataReceived):
                self._http2.give_back(event.stream_id, event.flow_bytes)
            elif isinstance(event, HeadersReceived | TrailersReceived):
                self._end(told(event.headers))
            elif isinstance(event, StreamReset):
                self._end(f"reset {event.code}")
            elif isinstance(event, GoAwayReceived | ConnectionEnded):
                self._end(f"ended {event.code}")
        self._said.set()

    def _end(self, outcome: str) -> None:
        if outcome and not self.outcome:
            self.outcome = outcome
            self._ended.set()


def told(headers: Headers) -> str:
    """The status of a call and what it says; empty where there is none yet."""
    fields = dict(headers)
    status = fields.get(b"grpc-status")
    if status is None:
        return ""
    name = Code(int(status)).name if status.isdigit() and int(status) < len(Code) else "?"
    message = fields.get(b"grpc-message", b"").decode("latin-1")
    return f"{name} {plain(message)}".strip()


def plain(text: str) -> str:
    """The kind of a message: without what differs between two of a kind."""
    kept = "".join(" " if c.isdigit() or not c.isprintable() else c for c in text.split("'")[0])
    return " ".join(kept[:_TEXT_CHARS_MAX].split())


def method_headers(path: str, *, is_gzip: bool) -> Headers:
    """The head of a call."""
    head = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"fuzz"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    )
    return cast("Headers", (*head, (b"grpc-encoding", b"gzip")) if is_gzip else head)
