"""A caller that says exactly what a test tells it to, on a real socket."""

import asyncio
import socket
import ssl as tls
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar, cast

import grpc

from server.transport.grpc.messages import framed
from server.transport.grpc.methods import RpcHandler
from server.transport.http2.connection import Connection
from server.transport.http2.errors import ErrorCode
from server.transport.http2.events import (
    ConnectionEnded,
    DataReceived,
    Event,
    GoAwayReceived,
    HeadersReceived,
    PingAcknowledged,
    StreamReset,
    TrailersReceived,
)
from server.transport.http2.hpack.table import Header
from server.transport.http2.limits import Limits, Rate
from server.transport.limit_names import SERVER_LIMITS
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from server.transport.serving.tally import TooLarge, bare

PATIENCE_S = 20.0  # a limit for what takes milliseconds
SERVICE, HOST = "raw.Test", "turnout.test"
PING = b"\0\0\x08\6\0\0\0\0\0"
# A server may answer more pings than a caller's own limit would have it answer at once.
USUAL = Limits(pings=Rate(10_000, 10_000))


Kind = TypeVar("Kind")
NOTHING: dict[str, str] = {}
NO_LIMITS: dict[str, int] = {}


@dataclass
class Answer:
    """What came of one call."""

    head: dict[bytes, bytes] = field(default_factory=dict)
    data: bytes = b""
    trailers: dict[bytes, bytes] = field(default_factory=dict)
    reset: int | None = None

    @property
    def status(self) -> int:
        return int({**self.head, **self.trailers}[b"grpc-status"])

    @property
    def message(self) -> str:
        return {**self.head, **self.trailers}.get(b"grpc-message", b"").decode()


class Caller:
    """One connection to a server."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits
    ) -> None:
        self._reader = reader
        self.writer = writer
        self.http2 = Connection(client=True, limits=limits)
        self._events: list[Event] = []
        self.answers: dict[int, Answer] = {}
        self._over: set[int] = set()
        self.received = b""

    def begin(self, method: str, *fields: Header, **changed: str) -> int:
        """Opens a call; `changed` replaces what a head has by itself, as in content_type=."""
        stream_id = self.http2.open_stream((*head(method, changed), *fields))
        self.answers[stream_id] = Answer()
        self.flush()
        return stream_id

    def request(self, method: str, data: bytes, *fields: Header, **changed: str) -> int:
        """A whole call in one write."""
        stream_id = self.prepare(method, data, *fields, **changed)
        self.flush()
        return stream_id

    def prepare(self, method: str, data: bytes, *fields: Header, **changed: str) -> int:
        """A whole call that leaves with the next flush."""
        stream_id = self.http2.request((*head(method, changed), *fields), data)
        self.answers[stream_id] = Answer()
        return stream_id

    def begin_and_end(self, method: str) -> int:
        """A call whose request is nothing but a head."""
        stream_id = self.http2.open_stream(head(method), end_stream=True)
        self.answers[stream_id] = Answer()
        self.flush()
        return stream_id

    def send(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        self.http2.send_data(stream_id, data, end_stream=end)
        self.flush()

    def flush(self) -> None:
        while output := self.http2.take_output():
            self.writer.write(output)

    async def event(self, kind: type[Kind]) -> Kind:
        """The next event of this kind; others are kept in `answers`."""
        while not isinstance(event := await self.step(), kind):
            pass
        return event

    def pause_reading(self) -> None:
        cast("asyncio.Transport", self.writer.transport).pause_reading()

    def resume_reading(self) -> None:
        cast("asyncio.Transport", self.writer.transport).resume_reading()

    async def step(self) -> Event:
        """The next event."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._events:
                await self._read()
        event = self._events.pop(0)
        self._note(event)
        return event

    async def beat(self) -> None:
        """A round trip: whatever the server had to say before has been said."""
        self.http2.ping(b"12345678")
        self.flush()
        await self.event(PingAcknowledged)

    async def left(self) -> int:
        """Waits until the server takes no more calls; returns the last that it took."""
        assert (await self.event(GoAwayReceived)).last_stream_id == 2**31 - 1
        last = await self.event(GoAwayReceived)
        assert last.code == ErrorCode.NO_ERROR
        return last.last_stream_id

    async def pinged(self, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.received.count(PING) < times:
                await self._read()

    async def answer(self, stream_id: int) -> Answer:
        """All that comes of a call, once it has ended."""
        while stream_id not in self._over:
            await self.step()
        return self.answers[stream_id]

    async def call(
        self, method: str, message: bytes = b"", *fields: Header, **changed: str
    ) -> Answer:
        """A unary call as it should be."""
        return await self.answer(self.request(method, framed(message), *fields, **changed))

    async def ended(self) -> list[tuple[int, int]]:
        """Waits for the end of the connection; the GOAWAYs before it, as (id, code)."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while data := await self._reader.read(1 << 16):
                    self.received += data
                    self._events += self.http2.receive(data, 0.0)
                    self.flush()
            except ConnectionError:
                pass
        goaways = [
            (event.last_stream_id, event.code)
            for event in self._events
            if isinstance(event, GoAwayReceived)
        ]
        for event in self._events:
            self._note(event)
        return goaways

    async def _read(self) -> None:
        data = await self._reader.read(1 << 16)
        assert data, "the server has closed the connection"
        self._events += self.http2.receive(data, 0.0)
        self.received += data
        self.flush()

    def _note(self, event: Event) -> None:
        if isinstance(event, HeadersReceived):
            self.answers[event.stream_id].head = dict(event.headers)
            if event.end_stream:
                self._over.add(event.stream_id)
        elif isinstance(event, DataReceived):
            self.answers[event.stream_id].data += event.data
        elif isinstance(event, TrailersReceived):
            self.answers[event.stream_id].trailers = dict(event.headers)
            self._over.add(event.stream_id)
        elif isinstance(event, StreamReset):
            self.answers[event.stream_id].reset = event.code
            self._over.add(event.stream_id)
        elif isinstance(event, ConnectionEnded):
            raise AssertionError(f"the server broke HTTP/2: {event.reason}")


@asynccontextmanager
async def calling(
    address: str | socket.socket, limits: Limits = USUAL, ssl: tls.SSLContext | None = None
) -> AsyncIterator[Caller]:
    """A caller at an address, or at its end of a connection."""
    if isinstance(address, socket.socket):
        name = None if ssl is None else HOST
        streams = await asyncio.open_connection(sock=address, ssl=ssl, server_hostname=name)
    elif address.startswith("unix:"):
        streams = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        streams = await asyncio.open_connection(host.strip("[]"), int(port))
    caller = Caller(*streams, limits)
    caller.flush()
    try:
        yield caller
    finally:
        caller.writer.transport.abort()
        with suppress(ConnectionError):
            await caller.writer.wait_closed()


def head(method: str, changed: dict[str, str] = NOTHING) -> tuple[Header, ...]:
    own = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method if "/" in method else f"/{SERVICE}/{method}",
        ":authority": "test",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    own |= {name.replace("http_", ":").replace("_", "-"): value for name, value in changed.items()}
    return tuple((name.encode(), value.encode()) for name, value in own.items() if value)


Servicer = Callable[[Any, Any], Any]


@asynccontextmanager
async def serving(
    *,
    limits: ServerLimits | None = None,
    on_ended: Callable[[], None] = lambda: None,
    message_bytes_max: Mapping[str, int] = NO_LIMITS,
    clock: Callable[[], float] = perf_counter,
    too_large: TooLarge = bare,
    **methods: Servicer,
) -> AsyncIterator[tuple[Server, str]]:
    """A server with these methods, each named by its kind: unary_, input_, output_ or duplex_."""
    server = Server(
        limits,
        chance=lambda: 0.5,
        on_ended=on_ended,
        message_bytes_max=message_bytes_max,
        clock=clock,
        too_large=too_large,
    )
    handlers: dict[str, RpcHandler] = {}
    for name, servicer in methods.items():
        kind, _, method = name.rpartition("_")
        make = {
            "unary": grpc.unary_unary_rpc_method_handler,
            "output": grpc.unary_stream_rpc_method_handler,
            "input": grpc.stream_unary_rpc_method_handler,
            "duplex": grpc.stream_stream_rpc_method_handler,
        }[kind]
        handlers[method] = make(servicer)
    server.add_registered_method_handlers(SERVICE, handlers)
    try:
        yield server, await server.listen("127.0.0.1:0")
    finally:
        await server.stop(0)
        assert server.limits_reached.keys() <= SERVER_LIMITS


async def echo(request: bytes, context: object) -> bytes:
    return request


def waiting() -> tuple[Servicer, asyncio.Event, asyncio.Event, asyncio.Event]:
    """A servicer that waits until it may go on; with the events that it began, may go on, and was
    cancelled."""
    began, go_on, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait(request: bytes, context: object) -> bytes:
        began.set()
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return request

    return wait, began, go_on, cancelled


async def soon(awaitable: Awaitable[Any]) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        return await awaitable
