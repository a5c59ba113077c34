"""Attacks, and honest acts that are served badly where something is wrong: a table.

Every byte is made before the first is sent. Rates are what a single host can send without an
effort, a few Mbit/s, unless the act is about a connection that is always full.
"""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from benchmarks.soak import honest, prepared, raw
from benchmarks.soak.attempts import Attempts
from benchmarks.soak.callers import INFER, REPORT, ROUTE, ROUTE_BATCH, WATCH
from benchmarks.soak.memory import MIB
from benchmarks.soak.raw import connected, frame
from benchmarks.soak.session import (
    WINDOW_BYTES_MAX,
    Ended,
    Request,
    Session,
    request,
    session,
    zipped,
)
from benchmarks.soak.stage import ATTACKERS
from benchmarks.soak.tally import Fault

_MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
# Who opens a window by a byte so often is alive, and no use; ended by then.
_TRICKLE_S, _TRICKLED_S_MAX = 5.0, 150.0
_FULL = math.inf
_LARGE_BYTES = 900_000  # within a window
_AT_ONCE = 100
_PIECE_BYTES = 256 * 2**10

Life = Callable[[str, Attempts], Awaitable[None]]  # of one connection to this address


class Attack(NamedTuple):
    """`prepare` makes all bytes; what it returns is run for each connection, again and again."""

    name: str
    connections: int
    rounds_per_s: float  # of all connections together
    prepare: Callable[[], Life]
    seconds_min: float = 0.0  # less of it shows nothing


def calls(*requests: Request, streams: int = 1) -> Life:
    """Calls one after the other on each stream."""

    async def life(address: str, attempts: Attempts) -> None:
        async with _session(address, attempts) as made:

            async def again() -> None:
                for one in itertools.cycle(requests):
                    await attempts.turn()
                    attempts.count(await made.call(one))

            await asyncio.gather(*(again() for _ in range(streams)))

    return life


def unread(*requests: Request) -> Life:
    """Opens no window for the answers, and hangs up when all have begun."""

    async def life(address: str, attempts: Attempts) -> None:
        await attempts.turn()
        async with _session(address, attempts, window=0) as made:
            await asyncio.gather(*(made.begin(one) for one in requests))
            attempts.count("left")
            made.peer.vanish()

    return life


def unfinished(one: Request) -> Life:
    """All of a request but its last frame."""

    async def life(address: str, attempts: Attempts) -> None:
        await attempts.turn()
        async with _session(address, attempts) as made:
            attempts.count(await made.call(one, ends=False))

    return life


def always_full(octets: bytes) -> Life:
    """Says it as fast as it is taken, and reads what comes."""

    async def life(address: str, attempts: Attempts) -> None:
        async with connected(address, source=ATTACKERS) as peer:
            peer.say(raw.PREFACE + frame(raw.SETTINGS, 0, 0))
            reading = asyncio.ensure_future(peer.received())
            for at in range(0, len(octets), _PIECE_BYTES):
                peer.say(octets[at : at + _PIECE_BYTES])
                await peer.flushed()
                attempts.count("taken")
                attempts.sent_bytes += _PIECE_BYTES
            reading.cancel()

    return life


def open_streams() -> Life:
    """As many as a connection may have, a hundred a round; they stay open."""
    begun = [raw.head(one, WATCH) + raw.body(one, b"") for one in range(1, 2_000, 2)]

    async def life(address: str, attempts: Attempts) -> None:
        async with connected(address, source=ATTACKERS) as peer:
            peer.say(raw.PREFACE + frame(raw.SETTINGS, 0, 0))
            for at in range(0, len(begun), _AT_ONCE):
                await attempts.turn()
                octets = b"".join(begun[at : at + _AT_ONCE])
                peer.say(octets)
                attempts.count("hundred streams")
                attempts.sent_bytes += len(octets)
            await peer.received()

    return life


def trickle() -> Life:
    """Asks for much, and takes a byte at a time."""
    asked = request(INFER, prepared.zeros(_LARGE_BYTES))
    more = frame(raw.WINDOW_UPDATE, 0, 1, (1).to_bytes(4))

    async def life(address: str, attempts: Attempts) -> None:
        async with _session(address, attempts, window=0) as made:
            await made.begin(asked)
            attempts.count("begun")
            for _ in range(round(_TRICKLED_S_MAX / _TRICKLE_S)):
                await asyncio.sleep(_TRICKLE_S)
                if made.why_over:
                    raise Ended(made.why_over)
                made.peer.say(more)
        raise Fault(f"still open after {_TRICKLED_S_MAX:g} s")

    return life


@asynccontextmanager
async def _session(
    address: str, attempts: Attempts, *, window: int = WINDOW_BYTES_MAX
) -> AsyncIterator[Session]:
    """On a connection of its own; what it sends is counted."""
    async with (
        connected(address, source=ATTACKERS) as peer,
        session(peer, window=window) as made,
    ):
        try:
            yield made
        finally:
            attempts.sent_bytes += made.sent_bytes


# Inflated; 65 KB zipped.
_BOMB_BYTES = 64 * MIB
_EMPTY, _CAPABILITIES = prepared.empty_parts, prepared.empty_capabilities

ATTACKS = (
    # What others feel of as much traffic that costs no more than its bytes.
    Attack("harmless", 4, 500, lambda: calls(request(ROUTE, prepared.text(4_000, 0)))),
    Attack("bomb: Report", 4, 10, lambda: calls(zipped(REPORT, _EMPTY(_BOMB_BYTES)))),
    Attack("bomb: RouteBatch", 4, 10, lambda: calls(zipped(ROUTE_BATCH, _EMPTY(_BOMB_BYTES)))),
    Attack("bomb: Route", 4, 10, lambda: calls(zipped(ROUTE, _CAPABILITIES(_BOMB_BYTES)))),
    Attack(
        "empty parts",
        *(4, 3),
        lambda: calls(
            request(REPORT, _EMPTY(4 * MIB)),
            request(ROUTE_BATCH, _EMPTY(4 * MIB)),
            request(ROUTE, _CAPABILITIES(4 * MIB)),
        ),
    ),
    Attack("unread answers", 4, 1, lambda: unread(*3 * [request(INFER, prepared.zeros(8 * MIB))])),
    Attack(
        "zipped Infers", 12, 24, lambda: calls(zipped(INFER, prepared.zeros(60 * MIB)), streams=2)
    ),
    # More of them than a worker may hold.
    Attack("unfinished", 12, 2, lambda: unfinished(request(INFER, prepared.zeros(40 * MIB)))),
    Attack(
        "many fields",
        *(4, 4),
        lambda: calls(
            zipped(_MODEL_INFER, prepared.many_fields()),
            zipped(INFER, prepared.inferred(prepared.many_fields())),
        ),
    ),
    Attack("costly heads", 1, _FULL, lambda: always_full(prepared.costly_heads(50_000))),
    Attack(
        "honest texts",
        *(1, _FULL),
        lambda: calls(*(request(ROUTE, prepared.text(16_000, n)) for n in range(50)), streams=250),
    ),
    Attack("batches", 20, 20, lambda: calls(request(ROUTE_BATCH, prepared.batch(10_000, 0)))),
    Attack("worst JSON", 8, 60, lambda: calls(request(ROUTE, prepared.worst_chat()))),
    Attack("streams", 40, 20, open_streams),
    Attack("trickle", 4, 1, trickle, seconds_min=_TRICKLED_S_MAX + 5),
    Attack("large Reports", 1, 1, honest.large_reports),
    Attack("overrun", 1, 0.5, honest.wild_calls),
    Attack("quiet", 30, 30, honest.quiet, seconds_min=honest.QUIET_S + 5),
)
