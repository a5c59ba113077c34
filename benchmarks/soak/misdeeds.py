"""Clients that misbehave, each on connections of its own: what it does, and what has to follow."""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from benchmarks.soak import raw
from benchmarks.soak.callers import INFER, ROUTE, SHORT_S, WATCH, slow_infer
from benchmarks.soak.raw import connected, frame
from benchmarks.soak.tally import Fault
from server.wire import oip_pb2
from turnout.v1 import routing_pb2 as pb

# SETTINGS by their numbers in RFC 9113.
_INITIAL_WINDOW_SIZE = 4
_WINDOW_BYTES_MAX = 2**31 - 1
_WINDOW_BYTES = 65_535  # where nobody says otherwise
# Longer than a server lets a reader stall, its look at it included.
_STALLED_S = 50.0
# Within the window that the server opens at once.
_LARGE_BYTES = 900_000
_ROUTE = pb.RouteRequest().SerializeToString()


Deed = Callable[[str, random.Random], Awaitable[None]]  # with the server's address


class Misdeed(NamedTuple):
    """One kind of client: `deed` raises Fault when the server lets it do more than it may."""

    name: str
    deed: Deed
    rest_s: float


def flood(octets: bytes, times: int, *, first: bytes = b"") -> Deed:
    """Says the same again and again behind a proper start, and has to be told to calm down."""

    async def deed(address: str, _dice: random.Random) -> None:
        async with connected(address) as peer:
            await peer.greet()
            peer.say(first + octets * times)
            await peer.ended(raw.ENHANCE_YOUR_CALM)

    return deed


def breach(octets: bytes, code: int) -> Deed:
    """Breaks HTTP/2 behind a proper start."""

    async def deed(address: str, _dice: random.Random) -> None:
        async with connected(address) as peer:
            await peer.greet()
            peer.say(octets)
            await peer.ended(code)

    return deed


def stranger(octets: bytes) -> Deed:
    """Speaks another protocol."""

    async def deed(address: str, _dice: random.Random) -> None:
        async with connected(address) as peer:
            peer.say(octets)
            await peer.ended(raw.PROTOCOL_ERROR)

    return deed


async def garbage(address: str, dice: random.Random) -> None:
    await stranger(dice.randbytes(dice.randrange(24, 5_000)))(address, dice)


async def garbage_frames(address: str, dice: random.Random) -> None:
    """Frames of any type with anything in them; ends however the server sees fit."""
    async with connected(address) as peer:
        await peer.greet()
        for _ in range(50):
            kind, flags, stream_id = dice.randrange(12), dice.randrange(256), dice.randrange(8)
            peer.say(frame(kind, flags, stream_id, dice.randbytes(dice.randrange(64))))
        peer.say(frame(raw.DATA, 0, 0))  # the end of it, if nothing was before
        await peer.received()


async def rapid_reset(address: str, _dice: random.Random) -> None:
    async with connected(address) as peer:
        await peer.greet()
        cancel = raw.CANCEL.to_bytes(4)
        for stream_id in range(1, 4_001, 2):
            peer.say(raw.head(stream_id, ROUTE) + frame(raw.RST_STREAM, 0, stream_id, cancel))
        await peer.ended(raw.ENHANCE_YOUR_CALM)


async def tiny_window(address: str, dice: random.Random) -> None:
    """Takes an answer octet by octet."""
    async with connected(address) as peer:
        await peer.greet(raw.setting(_INITIAL_WINDOW_SIZE, 1))
        peer.say(raw.head(1, INFER) + raw.body(1, _large(dice, 10_000)))
        await peer.until(raw.DATA, 1)
        peer.say(frame(raw.WINDOW_UPDATE, 0, 1, (1).to_bytes(4)) * 8_000)
        await peer.ended(raw.ENHANCE_YOUR_CALM)


async def closed_window(address: str, dice: random.Random) -> None:
    """Never opens the window of an answer; gets what the window holds, and no more."""
    async with connected(address) as peer:
        await peer.greet()
        peer.say(raw.head(1, INFER) + raw.body(1, _large(dice, _LARGE_BYTES)))
        got = 0
        while got < _WINDOW_BYTES:
            got += len((await peer.until(raw.DATA, 1)).payload)
        await asyncio.sleep(dice.uniform(0, 2))
        if got != _WINDOW_BYTES:
            raise Fault(f"{got} octets in a window of {_WINDOW_BYTES}")
        if dice.random() < 0.5:  # noqa: PLR2004 - one half says goodbye
            peer.vanish()


async def reads_nothing(address: str, dice: random.Random) -> None:
    """Asks for much and leaves it in the socket: is given up, and the answers with it."""
    small = ((socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096),)
    calls = range(1, 9, 2)
    async with connected(address, small) as peer:
        await peer.greet(raw.setting(_INITIAL_WINDOW_SIZE, _WINDOW_BYTES_MAX))
        room = _WINDOW_BYTES_MAX - _WINDOW_BYTES
        peer.say(frame(raw.WINDOW_UPDATE, 0, 0, room.to_bytes(4)))
        for stream_id in calls:
            peer.say(raw.head(stream_id, INFER) + raw.body(stream_id, _large(dice, _LARGE_BYTES)))
        await asyncio.sleep(_STALLED_S)
        got = await peer.received()
    if got >= len(calls) * _LARGE_BYTES:
        raise Fault("a reader that stalled was served to the end")


async def half_a_request(address: str, dice: random.Random) -> None:
    """Stops in the middle of a message, at any octet; is answered when its deadline has passed."""
    message = _large(dice, 2_000)
    cut = dice.randrange(5 + len(message))
    octets = (b"\0" + len(message).to_bytes(4) + message)[:cut]
    async with connected(address) as peer:
        await peer.greet()
        peer.say(raw.head(1, INFER, ("grpc-timeout", "300m")) + frame(raw.DATA, 0, 1, octets))
        await peer.answer(1)


async def half_a_frame(address: str, dice: random.Random) -> None:
    """Stops in the middle of a frame, and leaves after a while."""
    octets = raw.head(1, ROUTE) + raw.body(1, _ROUTE)
    async with connected(address) as peer:
        await peer.greet()
        peer.say(octets[: dice.randrange(1, len(octets))])
        await asyncio.sleep(dice.uniform(0, 2))


async def slow_writer(address: str, dice: random.Random) -> None:
    """Sends a whole request, octet by octet; has to be answered like any other."""
    octets = raw.head(1, ROUTE) + raw.body(1, _ROUTE)
    async with connected(address) as peer:
        await peer.greet()
        for at in range(len(octets)):
            peer.say(octets[at : at + 1])
            await asyncio.sleep(dice.uniform(0, 0.02))
        await peer.answer(1)


async def vanishing(address: str, dice: random.Random) -> None:
    """Hangs up in the middle of calls: unary ones, streams, and those that wait at an endpoint."""
    async with connected(address) as peer:
        await peer.greet()
        for stream_id in range(1, 41, 4):
            peer.say(raw.head(stream_id, INFER) + raw.body(stream_id, slow_infer()))
            peer.say(raw.head(stream_id + 2, WATCH) + raw.body(stream_id + 2, b""))
        await peer.until(raw.DATA, 3)
        await asyncio.sleep(dice.uniform(0, SHORT_S))
        peer.vanish()


async def churn(address: str, dice: random.Random) -> None:
    """Connections that end before they were of any use, or after a call."""
    for _ in range(10):
        async with connected(address):
            pass
    for _ in range(10):
        async with connected(address) as peer:
            await peer.greet()
            peer.say(raw.head(1, ROUTE) + raw.body(1, _ROUTE))
            if dice.random() < 0.5:  # noqa: PLR2004 - one half does not wait
                await peer.answer(1)
            else:
                peer.vanish()


async def wrong_calls(address: str, _dice: random.Random) -> None:
    """What is not gRPC, or no method: each is answered, and the connection lives."""
    async with connected(address) as peer:
        await peer.greet()
        peer.say(frame(raw.HEADERS, raw.END_HEADERS | raw.END_STREAM, 1, raw.block("/no.Such/One")))
        await peer.answer(1)
        peer.say(frame(raw.HEADERS, raw.END_HEADERS | raw.END_STREAM, 3, raw.block(ROUTE)))
        await peer.answer(3)  # without a message
        peer.say(raw.head(5, ROUTE) + raw.body(5, b"\xff" * 100))  # no protobuf
        await peer.answer(5)
        peer.say(raw.head(7, ROUTE, ("grpc-encoding", "br")) + raw.body(7, _ROUTE))
        await peer.answer(7)
        peer.say(raw.head(9, ROUTE) + raw.body(9, _ROUTE))
        await peer.answer(9)


def _large(dice: random.Random, size: int) -> bytes:
    """An Infer whose answer is as large."""
    payload = oip_pb2.ModelInferRequest(raw_input_contents=[dice.randbytes(size)])
    return pb.InferRequest(oip_request=payload.SerializeToString()).SerializeToString()


_TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(200)
_HTTP1 = b"GET / HTTP/1.1\r\nhost: soak\r\n\r\n"
# So many times what a limit lets pass that not even a slow machine spreads it over enough time.
_MANY, _UPDATES = 4_000, 20_000
_ONE = (1).to_bytes(4)
_UNENDED = frame(raw.HEADERS, 0, 1, raw.block(ROUTE))
_WHOLE_HEAD = raw.END_HEADERS | raw.END_STREAM

_FLOODS: Mapping[str, Deed] = {
    "PING": flood(frame(raw.PING, 0, 0, bytes(8)), _MANY),
    "SETTINGS": flood(frame(raw.SETTINGS, 0, 0), _MANY),
    "empty DATA": flood(frame(raw.DATA, 0, 1), _MANY, first=raw.head(1, ROUTE)),
    "CONTINUATION": flood(frame(raw.CONTINUATION, 0, 1, b"\0\1a\1b"), _MANY, first=_UNENDED),
    "WINDOW_UPDATE": flood(frame(raw.WINDOW_UPDATE, 0, 0, _ONE), _UPDATES),
    "PRIORITY": flood(frame(raw.PRIORITY, 0, 1, bytes(4) + b"\1"), _MANY),
    "unknown frames": flood(frame(0xEE, 0, 0), _MANY),
}
_BREACHES: Mapping[str, Deed] = {
    "a stream of ours": breach(
        frame(raw.HEADERS, _WHOLE_HEAD, 2, raw.block(ROUTE)), raw.PROTOCOL_ERROR
    ),
    "DATA on no stream": breach(frame(raw.DATA, 0, 0, b"data"), raw.PROTOCOL_ERROR),
    "a large frame": breach(frame(raw.DATA, 0, 1, bytes(16_385)), raw.FRAME_SIZE_ERROR),
    "bad HPACK": breach(frame(raw.HEADERS, _WHOLE_HEAD, 1, b"\xff" * 10), raw.COMPRESSION_ERROR),
    "a window too wide": breach(
        frame(raw.WINDOW_UPDATE, 0, 0, _WINDOW_BYTES_MAX.to_bytes(4)), raw.FLOW_CONTROL_ERROR
    ),
}

MISDEEDS = (
    *(Misdeed(f"flood of {name}", deed, 1.0) for name, deed in _FLOODS.items()),
    *(Misdeed(f"breach: {name}", deed, 1.0) for name, deed in _BREACHES.items()),
    Misdeed("rapid reset", rapid_reset, 1.0),
    Misdeed("tiny window", tiny_window, 1.0),
    Misdeed("closed window", closed_window, 0.5),
    Misdeed("reads nothing", reads_nothing, 1.0),
    Misdeed("half a request", half_a_request, 0.1),
    Misdeed("half a frame", half_a_frame, 0.1),
    Misdeed("slow writer", slow_writer, 0.1),
    Misdeed("vanishing", vanishing, 0.2),
    Misdeed("churn", churn, 0.5),
    Misdeed("wrong calls", wrong_calls, 0.2),
    Misdeed("garbage", garbage, 0.2),
    Misdeed("garbage frames", garbage_frames, 0.2),
    Misdeed("hello of TLS", stranger(_TLS_HELLO), 0.2),
    Misdeed("HTTP/1.1", stranger(_HTTP1), 0.2),
)
