"""A listening server, and a client that says to it whatever a test wants, octet by octet."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import grpc
import hpack

from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from tests.server.transport.http2.by_hand import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    REQUEST,
    RST_STREAM,
    SETTINGS,
    RawFrame,
    headers,
    raw,
)

PATIENCE_S = 20.0  # a limit for what takes milliseconds
MESSAGE = b"\0\0\0\0\5hello"
BEGUN = headers(1, flags=END_HEADERS)


def begun(path: bytes, stream_id: int = 1) -> bytes:
    """A request of this method, to be continued."""
    fields = [(name, path if name == b":path" else value) for name, value in REQUEST]
    return headers(stream_id, fields, flags=END_HEADERS)


# One that the server does not end: it is half-closed (remote).
WAITING = begun(b"/e.E/Wait") + raw(DATA, END_STREAM, 1, MESSAGE)
ECHO = BEGUN + raw(DATA, END_STREAM, 1, MESSAGE)

Pairs = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """All of a stream."""

    head: Pairs
    data: bytes
    trailers: Pairs


class Peer:
    """A client's end of a connection, past nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = hpack.Decoder()

    async def greet(self, first: bytes = b"") -> None:
        """Says preface and SETTINGS, hears the server's, and acknowledges them."""
        self.say(PREFACE + raw(SETTINGS, 0, 0, first))
        await self.frame(SETTINGS)
        self.say(raw(SETTINGS, ACK, 0))

    def say(self, octets: bytes) -> None:
        self._writer.write(octets)

    async def next(self) -> RawFrame:
        async with asyncio.timeout(PATIENCE_S):
            head = await self._reader.readexactly(9)
            payload = await self._reader.readexactly(int.from_bytes(head[:3]))
        return head[3], head[4], int.from_bytes(head[5:]), payload

    async def frame(self, kind: int, stream_id: int = 0) -> RawFrame:
        """The next of its kind on this stream; a reset or an end instead of it is a failure."""
        while True:
            frame = await self.next()
            if frame[0] == kind and frame[2] == stream_id:
                return frame
            assert frame[0] not in (GOAWAY, RST_STREAM), frame

    async def answer(self, stream_id: int = 1) -> Answer:
        """The whole answer."""
        heads: list[Pairs] = []
        data = b""
        while True:
            kind, flags, stream, payload = await self.next()
            assert kind != GOAWAY
            assert (kind, stream) != (RST_STREAM, stream_id)
            if kind == HEADERS:
                block = self._decoder.decode(payload, raw=True)
                if stream == stream_id:
                    heads.append([(bytes(name), bytes(value)) for name, value in block])
            if kind == DATA and stream == stream_id:
                data += payload
            if kind in (HEADERS, DATA) and stream == stream_id and flags & END_STREAM:
                return Answer(heads[0], data, heads[-1])

    async def echoed(self, stream_id: int = 1) -> None:
        """A call was answered with its message."""
        answer = await self.answer(stream_id)
        assert answer.data == MESSAGE
        assert (b"grpc-status", b"0") in answer.trailers

    async def reset(self, stream_id: int, code: int) -> None:
        """The stream was reset with this code, and the connection lives."""
        while (frame := await self.next())[0] != RST_STREAM or frame[2] != stream_id:
            assert frame[0] != GOAWAY, frame
        assert int.from_bytes(frame[3]) == code
        await self.alive()

    async def alive(self) -> None:
        """The connection answers a ping."""
        self.say(raw(PING, 0, 0, b"alive? !"))
        while (await self.frame(PING))[3] != b"alive? !":
            pass

    async def ended(self, code: int) -> None:
        """The connection was ended with a GOAWAY of this code, after which the socket closed."""
        while (frame := await self.next())[0] != GOAWAY:
            pass
        assert int.from_bytes(frame[3][4:8]) == code
        async with asyncio.timeout(PATIENCE_S):
            assert await self._reader.read() == b""


async def echo(request: bytes, context: object) -> bytes:
    return request


async def wait(request: object, context: object) -> bytes:
    await asyncio.Event().wait()
    return b""


class EchoService(grpc.GenericRpcHandler):
    """Every method gives back what it gets, but Wait never does, and Hold reads nothing at all."""

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        if details.method == "/e.E/Hold":
            return grpc.stream_unary_rpc_method_handler(wait)
        return grpc.unary_unary_rpc_method_handler(wait if details.method == "/e.E/Wait" else echo)


@asynccontextmanager
async def connected(limits: ServerLimits | None = None) -> AsyncIterator[Peer]:
    """A connection to an echo service over TCP, before the first octet."""
    server = Server(limits, chance=lambda: 0.5)
    server.add_generic_rpc_handlers([EchoService()])
    host, port = (await server.listen("127.0.0.1:0")).rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()
        await server.stop(0.0)
