"""A client that says whatever it is told to, octet by octet, in plaintext."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from benchmarks.soak.tally import Fault

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, _PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
HEAD_BYTES = 9  # of a frame

NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR = 0, 1, 3, 6
CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 8, 9, 11

# Far more than anything takes that we wait for, but for what the server itself waits for.
PATIENCE_S = 60.0
_SHORT_STRING = 127
_HANG_UP_AT_ONCE = struct.pack("ii", 1, 0)


class Frame(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream_id.to_bytes(4) + payload


def setting(name: int, value: int) -> bytes:
    return name.to_bytes(2) + value.to_bytes(4)


def block(path: str, *more: tuple[str, str]) -> bytes:
    """The head of a call."""
    fields = (
        *((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "soak")),
        *(("te", "trailers"), ("content-type", "application/grpc"), *more),
    )
    return b"".join(literal(name, value) for name, value in fields)


def literal(name: str, value: str) -> bytes:
    """A field that leaves no trace in a table."""
    return b"\0" + _string(name) + _string(value)


def head(stream_id: int, path: str, *more: tuple[str, str]) -> bytes:
    """Begins a call whose request follows."""
    return frame(HEADERS, END_HEADERS, stream_id, block(path, *more))


def body(stream_id: int, message: bytes, *, flags: int = END_STREAM) -> bytes:
    """A message in as many DATA frames as it needs."""
    octets = b"\0" + len(message).to_bytes(4) + message
    pieces = [octets[at : at + 16_384] for at in range(0, len(octets), 16_384)]
    ends = [0] * (len(pieces) - 1) + [flags]
    return b"".join(
        frame(DATA, end, stream_id, piece) for piece, end in zip(pieces, ends, strict=True)
    )


def _string(text: str) -> bytes:
    if len(text) >= _SHORT_STRING:
        raise ValueError(f"{len(text)} characters: {_SHORT_STRING - 1} fit")
    return bytes((len(text),)) + text.encode()


class Peer:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def greet(self, *settings: bytes) -> None:
        """Says preface and SETTINGS, hears the server's, and acknowledges them."""
        self.say(PREFACE + frame(SETTINGS, 0, 0, b"".join(settings)))
        await self.until(SETTINGS)
        self.say(frame(SETTINGS, ACK, 0))

    def say(self, octets: bytes) -> None:
        self._writer.write(octets)

    async def flushed(self) -> None:
        """What was said has left, but for a little; raises ConnectionError."""
        await self._writer.drain()

    async def heard(self) -> Frame | None:
        """The next frame; None at the end."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                start = await self._reader.readexactly(HEAD_BYTES)
                payload = await self._reader.readexactly(int.from_bytes(start[:3]))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        except TimeoutError:
            raise Fault(f"silence for {PATIENCE_S:g} s") from None
        return Frame(start[3], start[4], int.from_bytes(start[5:]) & 0x7FFFFFFF, payload)

    async def until(self, kind: int, stream_id: int = 0, flags: int = 0) -> Frame:
        """The next of this kind on this stream, with these flags."""
        while (frame := await self.heard()) is not None:
            if frame.kind == kind and frame.stream_id == stream_id and frame.flags & flags == flags:
                return frame
            if frame.kind == GOAWAY and code(frame) != NO_ERROR:
                raise Fault(f"GOAWAY {code(frame)} {frame.payload[8:]!r} instead of {kind}")
        raise Fault(f"the connection ended before a frame of type {kind}")

    async def answer(self, stream_id: int) -> None:
        """A call's end: the trailers, whatever they say."""
        await self.until(HEADERS, stream_id, END_STREAM)

    async def ended(self, *codes: int) -> None:
        """The server closes the connection, and says GOAWAY with one of these codes before."""
        said: list[int] = []
        while (frame := await self.heard()) is not None:
            if frame.kind == GOAWAY:
                said.append(code(frame))
        if not said or said[-1] not in codes:
            raise Fault(f"closed after GOAWAY {said}; {' or '.join(map(str, codes))} is right")

    async def received(self) -> int:
        """Reads to the end; how many octets there were."""
        count = 0
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_S):
                while octets := await self._reader.read(2**20):
                    count += len(octets)
        return count

    def vanish(self) -> None:
        """Hangs up without a goodbye, what is unsent dropped: the server sees a reset."""
        made: socket.socket = self._writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _HANG_UP_AT_ONCE)
        self._writer.transport.abort()


def code(goaway: Frame) -> int:
    return int.from_bytes(goaway.payload[4:8])


@asynccontextmanager
async def connected(
    address: str, options: Sequence[tuple[int, int, int]] = (), *, source: str = ""
) -> AsyncIterator[Peer]:
    """A connection before its first octet, closed at the end; `options` are of its socket.

    `source` is the address that it comes from; empty: whichever.
    """
    host, _, port = address.rpartition(":")
    made = socket.socket()
    made.setblocking(False)
    for option in ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *options):
        made.setsockopt(*option)
    if source:
        made.bind((source, 0))
    try:
        await asyncio.get_running_loop().sock_connect(made, (host, int(port)))
    except BaseException:  # cancelled too: nobody else knows of the socket yet
        made.close()
        raise
    reader, writer = await asyncio.open_connection(sock=made)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()
