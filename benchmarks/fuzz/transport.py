"""The transport by the bytes of a connection: a server's, a client's, and HTTP/2 alone.

The first byte of an input says in which pieces the rest is read.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from benchmarks.fuzz import frames
from benchmarks.fuzz.data_plane import data_plane
from benchmarks.fuzz.frames import FRAMES, PREFACE, Frame, read_frames
from benchmarks.fuzz.loop import TurnLoop
from benchmarks.fuzz.meter import Meter
from benchmarks.fuzz.methods import ON_THE_LOOP, check_left
from benchmarks.fuzz.mutate import ANY, squeeze
from benchmarks.fuzz.peers import READ_BYTES, Wire, method_headers, plain, told
from benchmarks.fuzz.sessions import mending
from benchmarks.fuzz.targets import Feed, Target
from server.app.handed_listener import WIRE_BYTES_MAX
from server.transport.channel.channel import Channel
from server.transport.grpc.answer import CallFailed
from server.transport.grpc.messages import prefix
from server.transport.http2.connection import Connection
from server.transport.http2.hpack.decoder import Decoder
from server.transport.http2.hpack.encoder import Encoder
from server.transport.http2.hpack.table import Header

# How an input is read, by its first byte; small pieces at the beginning only, for each is a call.
_READS = (READ_BYTES, READ_BYTES, READ_BYTES, 16_384, 1_000, 9, 1)
_SMALL_READS_BYTES = 512
_PATIENCE_S = 200.0
_ECHO = "/echo.Echo/Say"
# One look at 64 KB at most: what a turn of the server looks at is for the server's own targets.
_HTTP2_READ_BYTES = 65_536


def pieces(data: bytes) -> list[bytes]:
    """The rest of an input as it is read."""
    size, rest = _READS[data[0] % len(_READS)] if data else 1, data[1:]
    first, last = rest[:_SMALL_READS_BYTES], rest[_SMALL_READS_BYTES:]
    small = [first[at : at + size] for at in range(0, len(first), size)]
    large = max(size, 1_000)
    return small + [last[at : at + large] for at in range(0, len(last), large)]


@asynccontextmanager
async def _server(loop: TurnLoop) -> AsyncIterator[Feed]:
    async with data_plane(loop) as server:

        async def feed(data: bytes, meter: Meter) -> str:
            heard = bytearray()
            served = server.connected()
            wire = Wire(loop, served, heard.extend)
            served.connection_made(wire)
            given = pieces(data)
            meter.begin(frames.inflated_bytes(data[1:], WIRE_BYTES_MAX))
            for piece in given:
                await wire.give(piece, READ_BYTES)
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    await wire.closed.wait()
            wire.abort()
            await wire.closed.wait()
            for _ in range(4):
                await asyncio.sleep(0)
            meter.loop.end()
            check_left(server)
            return summary(bytes(heard))

        yield feed


def summary(octets: bytes) -> str:
    """What a server has said: the first answer, the first reset, the last word."""
    said = {"answer": "", "reset": "", "goaway": ""}
    decoder = Decoder()
    for frame in read_frames(octets):
        if frame.kind == frames.HEADERS:
            said["answer"] = said["answer"] or told(decoder.decode(frame.payload))
        elif frame.kind == frames.RST_STREAM:
            said["reset"] = said["reset"] or f"reset {int.from_bytes(frame.payload)}"
        elif frame.kind == frames.GOAWAY:
            debug = plain(frame.payload[8:].decode("latin-1"))
            said["goaway"] = f"goaway {int.from_bytes(frame.payload[4:8])} {debug}"
    return "; ".join(filter(None, said.values())) or "nothing"


@asynccontextmanager
async def _client(loop: TurnLoop) -> AsyncIterator[Feed]:
    """A channel with a unary call, one whose request is large, and a stream."""

    async def feed(data: bytes, meter: Meter) -> str:
        wires: list[Wire] = []

        def connect(protocol: asyncio.Protocol) -> Wire:
            wires.append(Wire(loop, protocol, _ignored))
            protocol.connection_made(wires[-1])
            return wires[-1]

        loop.dialled = connect
        channel = Channel("192.0.2.9:1", chance=lambda: 0.5)
        calls = [loop.create_task(one) for one in _calls(channel)]
        await asyncio.sleep(0)  # it connects
        await asyncio.sleep(0)
        await wires[0].give(_SETTINGS)
        for _ in range(4):  # calls that waited for it are made
            await asyncio.sleep(0)
        given = pieces(data)
        meter.begin(frames.inflated_bytes(data[1:], 64 * 2**20))
        for piece in given:
            await wires[0].give(piece)
        endings = await asyncio.gather(*calls)
        await channel.close()
        meter.loop.end()
        return "; ".join(endings)

    yield feed


def _ignored(_octets: bytes) -> None:
    """What a channel says."""


def _calls(channel: Channel) -> list[Any]:
    async def unary(request: bytes) -> str:
        answer = await channel.unary(_ECHO, request, timeout_s=_PATIENCE_S)
        return "answered" if answer else "answered with nothing"

    async def stream() -> str:
        async with channel.stream(_ECHO, timeout_s=_PATIENCE_S) as call:
            await call.send(b"hello")
            call.half_close()
            return "streamed" if [message async for message in call] else "streamed nothing"

    async def ended(call: Any) -> str:
        try:
            return str(await call)
        except CallFailed as failure:
            return f"{failure.code.name} {plain(str(failure))}"

    return [ended(unary(b"hello")), ended(unary(bytes(100_000))), ended(stream())]


@asynccontextmanager
async def _http2(*, client: bool) -> AsyncIterator[Feed]:
    async def feed(data: bytes, meter: Meter) -> str:
        connection = Connection(client=client)
        if client:
            connection.open_stream(_HEAD)
            connection.request(_HEAD, b"\0\0\0\0\5hello")
            connection.open_stream(_HEAD)
        given = pieces(data)
        meter.begin(len(data))
        for piece in given:
            for at in range(0, len(piece), _HTTP2_READ_BYTES):
                read = piece[at : at + _HTTP2_READ_BYTES]
                for _ in connection.receive_in_stretches(read, 0.0):
                    connection.take_output()
                    await asyncio.sleep(0)
        meter.loop.end()
        ended = connection.ended
        return "open" if ended is None else f"{ended.code} {plain(ended.reason)}"

    yield feed


_HEAD: tuple[Header, ...] = method_headers(_ECHO, is_gzip=False)
_SETTINGS = Frame(frames.SETTINGS, 0, 0, (3).to_bytes(2) + (100).to_bytes(4)).octets()
_ANSWER: tuple[Header, ...] = ((b":status", b"200"), (b"content-type", b"application/grpc"))
_TRAILERS: tuple[Header, ...] = ((b"grpc-status", b"0"), (b"grpc-message", b"well"))


def _caller_seeds() -> Sequence[bytes]:
    """Connections with a call of each method, plain and compressed, and one with other frames."""
    paths = set(_METHOD_PATHS)
    return [
        *(b"\0" + _session([(path, b"\n\0", gzip)]) for path in sorted(paths) for gzip in (0, 1)),
        b"\2" + _session([(path, b"", False) for path in sorted(paths)]),
        b"\4" + _session([]) + _OTHERS,
    ]


_METHOD_PATHS = (
    "/turnout.v1.RoutingService/Route",
    "/turnout.v1.RoutingService/Report",
    "/inference.GRPCInferenceService/ModelInfer",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/no.Such/Method",
)


def _session(calls: Sequence[tuple[str, bytes, bool | int]]) -> bytes:
    encoder, dice = Encoder(), random.Random(1)
    settings = Frame(frames.SETTINGS, 0, 0, (4).to_bytes(2) + (2**20).to_bytes(4))
    octets = [PREFACE, settings.octets(), Frame(frames.SETTINGS, frames.ACK, 0, b"").octets()]
    for i, (path, message, is_gzip) in enumerate(calls):
        body = squeeze(message, dice, ()) if is_gzip else message
        more: tuple[Header, ...] = ((b"grpc-timeout", b"5S"), (b"x-team", b"blue"))
        head = encoder.encode((*method_headers(path, is_gzip=bool(is_gzip)), *more))
        octets.append(Frame(frames.HEADERS, frames.END_HEADERS, 2 * i + 1, head).octets())
        data = prefix(int(is_gzip), len(body)) + body
        octets.append(Frame(frames.DATA, frames.END_STREAM, 2 * i + 1, data).octets())
    return b"".join(octets)


_OTHERS = b"".join(
    frame.octets()
    for frame in (
        Frame(frames.HEADERS, 0, 1, Encoder().encode(_HEAD)[:20]),
        Frame(frames.CONTINUATION, frames.END_HEADERS, 1, Encoder().encode(_HEAD)[20:]),
        Frame(frames.DATA, 0x8, 1, b"\3abc\0\0\0"),
        Frame(frames.PRIORITY, 0, 1, b"\0\0\0\0\1"),
        Frame(frames.WINDOW_UPDATE, 0, 0, (1_000).to_bytes(4)),
        Frame(frames.WINDOW_UPDATE, 0, 1, (1_000).to_bytes(4)),
        Frame(frames.PING, 0, 0, b"12345678"),
        Frame(frames.RST_STREAM, 0, 1, (8).to_bytes(4)),
        Frame(0xEE, 0, 0, b"unknown"),
        Frame(frames.GOAWAY, 0, 0, bytes(8)),
    )
)


def _endpoint_seeds() -> Sequence[bytes]:
    """Answers to the calls of `_calls`."""
    encoder, dice = Encoder(), random.Random(1)
    updates = Frame(frames.WINDOW_UPDATE, 0, 0, (2**20).to_bytes(4)).octets()
    squeezed = squeeze(b"\n\0" * 50, dice, ())
    answers = []
    for stream_id, body, more in (
        (1, prefix(0, 5) + b"hello", ()),
        (3, prefix(1, len(squeezed)) + squeezed, ((b"grpc-encoding", b"gzip"),)),
        (5, (prefix(0, 2) + b"ab") * 3, ()),
    ):
        head = encoder.encode((*_ANSWER, *more))
        answers += [
            Frame(frames.HEADERS, frames.END_HEADERS, stream_id, head).octets(),
            Frame(frames.DATA, 0, stream_id, body).octets(),
            Frame(frames.HEADERS, 5, stream_id, encoder.encode(_TRAILERS)).octets(),
        ]
    refused = Frame(frames.RST_STREAM, 0, 1, (7).to_bytes(4)).octets()
    goaway = Frame(frames.GOAWAY, 0, 0, (1).to_bytes(4) + bytes(4) + b"bye").octets()
    return [
        b"\0" + _SETTINGS + updates + b"".join(answers),
        b"\5" + _SETTINGS + refused + b"".join(answers),
        b"\2" + _SETTINGS + goaway,
    ]


def _sans_io(*, client: bool) -> Callable[[TurnLoop], AbstractAsyncContextManager[Feed]]:
    return lambda _loop: _http2(client=client)


_CHANGES = (*FRAMES, *FRAMES, *ANY)
_OF_CALLERS = tuple(map(mending, _CHANGES))
TRANSPORT = (
    Target("connection", _server, _caller_seeds, _OF_CALLERS, ON_THE_LOOP),
    Target("channel", _client, _endpoint_seeds, _CHANGES, ON_THE_LOOP),
    Target("http2 of a server", _sans_io(client=False), _caller_seeds, _OF_CALLERS, ON_THE_LOOP),
    Target("http2 of a client", _sans_io(client=True), _endpoint_seeds, _CHANGES, ON_THE_LOOP),
)
