"""An endpoint that speaks OpenAI's HTTP as a test says, and keeps what it was sent."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, NamedTuple

ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2},
}
CHUNKS = [
    b'data: {"choices":[{"index":0,"delta":{"content":"Pa"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"ris"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
]
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
JSON, EVENTS = "application/json", "text/event-stream; charset=utf-8"


class Received(NamedTuple):
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader  # what comes after it, and the end of the connection

    @property
    def asked(self) -> Any:
        return json.loads(self.body)


Behaviour = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def head(status: int = 200, content_type: str = JSON, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode()


def whole(body: bytes, status: int = 200, content_type: str = JSON, **headers: str) -> bytes:
    return head(status, content_type, Content_Length=str(len(body)), **headers) + body


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def saying(data: bytes) -> Behaviour:
    """Answers with these bytes and keeps the connection."""

    async def say(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return say


def saying_and_leaving(data: bytes) -> Behaviour:
    """Answers with these bytes and closes the connection."""

    async def say(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    return say


def refusing(status: int, error: object, **headers: str) -> Behaviour:
    return saying(whole(json.dumps({"error": error}).encode(), status, **headers))


def holding(data: bytes = b"") -> Behaviour:
    """Says this much, and no more until the caller leaves."""

    async def hold(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await received.reader.read(1)

    return hold


def streaming(*events: bytes) -> Behaviour:
    """Answers with a whole stream."""
    body = b"".join(map(chunked, events)) + b"0\r\n\r\n"
    return saying(head(content_type=EVENTS, Transfer_Encoding="chunked") + body)


async def well(received: Received, writer: asyncio.StreamWriter) -> None:
    """Answers as a good server does."""
    if received.line.startswith("GET"):
        writer.write(whole(b'{"data":[]}'))
    elif received.asked.get("stream"):
        options = received.asked.get("stream_options") or {}
        usage = (USAGE,) if options.get("include_usage") else ()
        await streaming(*CHUNKS, *usage, DONE)(received, writer)
    else:
        writer.write(whole(json.dumps(ANSWER).encode()))


@dataclass(slots=True)
class FakeEndpoint:
    """Behaves as `behaviour` says, which a test may change."""

    behaviour: Behaviour = well
    url: str = ""
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # a caller closed a connection
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    connected: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.connected.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.is_closing():
                    await self._answer(await _received(reader), writer)
                    with suppress(ConnectionError):
                        await writer.drain()
        finally:
            self.left.set()
            self.connected.discard(task)
            writer.close()

    async def _answer(self, received: Received, writer: asyncio.StreamWriter) -> None:
        self.requests.append(received)
        self.reached.set()
        await self.behaviour(received, writer)


async def _received(reader: asyncio.StreamReader) -> Received:
    line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(line, headers, body, reader)


@asynccontextmanager
async def serving(
    endpoint: FakeEndpoint, *, tls: SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[None]:
    """Serves it on a free port."""
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    endpoint.url = f"http{'s' if tls else ''}://{host}:{port}/v1"
    try:
        yield
    finally:
        server.close()
        for task in endpoint.connected:
            task.cancel()
        await asyncio.gather(*endpoint.connected, return_exceptions=True)
        await server.wait_closed()
