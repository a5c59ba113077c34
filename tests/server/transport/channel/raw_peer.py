"""A server that a test speaks for, frame by frame."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple, cast

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4
PATIENCE_S = 20.0  # a limit for what takes milliseconds

GRPC_HEAD = ((":status", "200"), ("content-type", "application/grpc"))


class Frame(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._encoder, self.decoder = hpack.Encoder(), hpack.Decoder()

    async def greet(self, **settings: int) -> None:
        """Reads the client's preface and sends SETTINGS: streams=, window=."""
        numbers = {"streams": MAX_CONCURRENT_STREAMS, "window": INITIAL_WINDOW_SIZE}
        async with asyncio.timeout(PATIENCE_S):
            assert await self._reader.readexactly(len(PREFACE)) == PREFACE
        pairs = (
            numbers[name].to_bytes(2, "big") + value.to_bytes(4, "big")
            for name, value in settings.items()
        )
        self.send(SETTINGS, 0, 0, b"".join(pairs))

    async def next(self) -> Frame:
        async with asyncio.timeout(PATIENCE_S):
            head = await self._reader.readexactly(9)
            payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
        return Frame(head[3], head[4], int.from_bytes(head[5:], "big"), payload)

    async def frame(self, kind: int) -> Frame:
        """The next frame of this kind, past all others but an acknowledgement."""
        while (frame := await self.next()).kind != kind or (kind == SETTINGS and frame.flags & ACK):
            pass
        return frame

    async def request(self) -> tuple[int, bytes]:
        """The next stream whose request is whole, and its message."""
        bodies: dict[int, bytes] = {}
        while True:
            frame = await self.next()
            if frame.kind == HEADERS:
                self.decoder.decode(frame.payload)
            if frame.kind == DATA:
                bodies[frame.stream_id] = bodies.get(frame.stream_id, b"") + frame.payload
                if frame.flags & END_STREAM:
                    return frame.stream_id, bodies[frame.stream_id][5:]

    async def burst(self) -> bytes:
        """What comes in one piece."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.read(1 << 16)

    def pause_reading(self) -> None:
        """Leaves what the client sends in the socket."""
        cast(asyncio.Transport, self.writer.transport).pause_reading()

    async def ended(self) -> bool:
        """Whether the client has closed the connection; reads what is left of it."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while await self._reader.read(1 << 16):
                    pass
            except ConnectionError:
                pass
        return True

    def send(self, kind: int, flags: int, stream_id: int, payload: bytes = b"") -> None:
        size = len(payload).to_bytes(3, "big")
        self.writer.write(size + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload)

    def head(
        self, stream_id: int, fields: tuple[tuple[str, str], ...] = GRPC_HEAD, flags: int = 0
    ) -> None:
        self.send(HEADERS, END_HEADERS | flags, stream_id, self._encoder.encode(fields))

    def data(self, stream_id: int, message: bytes, flags: int = 0) -> None:
        self.send(DATA, flags, stream_id, b"\0" + len(message).to_bytes(4, "big") + message)

    def trailers(self, stream_id: int, *fields: tuple[str, str]) -> None:
        self.head(stream_id, fields or (("grpc-status", "0"),), END_STREAM)

    def answer(self, stream_id: int, message: bytes) -> None:
        self.head(stream_id)
        self.data(stream_id, message)
        self.trailers(stream_id)

    def goaway(self, last_stream_id: int, code: int = 0) -> None:
        self.send(GOAWAY, 0, 0, last_stream_id.to_bytes(4, "big") + code.to_bytes(4, "big"))

    def reset(self, stream_id: int, code: int) -> None:
        self.send(RST_STREAM, 0, stream_id, code.to_bytes(4, "big"))

    def open_window(self, stream_id: int, increment: int) -> None:
        self.send(WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big"))


class Listening:
    """Connections in the order in which they came."""

    def __init__(self) -> None:
        self.address = ""
        self._accepted: asyncio.Queue[Peer] = asyncio.Queue()
        self.peers: list[Peer] = []
        self.stop: Callable[[], None] = lambda: None  # from then on connections are refused

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        await self._accepted.put(peer)

    async def accept(self) -> Peer:
        """The next connection, which has said nothing yet."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._accepted.get()

    async def greeted(self, **settings: int) -> Peer:
        peer = await self.accept()
        await peer.greet(**settings)
        return peer


@contextmanager
def deaf_address() -> Iterator[str]:
    """Where connections are refused: nobody listens there, and nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@asynccontextmanager
async def listening() -> AsyncIterator[Listening]:
    made = Listening()
    server = await asyncio.start_server(made, "127.0.0.1", 0)
    made.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    made.stop = server.close
    try:
        yield made
    finally:
        server.close()
        for peer in made.peers:
            peer.writer.transport.abort()
        await server.wait_closed()
