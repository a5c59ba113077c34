"""Honest acts that fare badly where something is wrong: each round has to be answered well."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from benchmarks.soak import prepared
from benchmarks.soak.attempts import Attempts
from benchmarks.soak.callers import INFER, REPORT, ROUTE_BATCH, watch_for
from benchmarks.soak.clients import DEADLINE_S, Client, Grpcio, Ours, Refused
from benchmarks.soak.memory import MIB
from benchmarks.soak.stage import WILD
from benchmarks.soak.tally import Fault
from turnout.v1 import routing_pb2 as pb

# Longer than a connection may be silent and then leave a PING unanswered, both looked at late.
QUIET_S = 100.0
_OUTCOMES = 1_000
_REPORT_BYTES = 4 * MIB
# Above 256 of them the endpoint has overrun the window of their connection.
_WILD_CALLS = 300
# Of an outcome: what is new, what was counted, what has too long a label.
_REASONS = {"", "USAGE_DUPLICATE", "REQUEST_INVALID"}

Life = Callable[[str, Attempts], Awaitable[None]]


def large_reports() -> Life:
    """Reports as large as may be: what the control plane is told is larger still."""
    asked = prepared.batch(_OUTCOMES, 0)

    async def rounds(client: Client, attempts: Attempts) -> None:
        batch = pb.RouteBatchResponse.FromString(await client.unary(ROUTE_BATCH, asked, DEADLINE_S))
        report = prepared.large_report([one.decision_id for one in batch.results], _REPORT_BYTES)
        while True:
            await attempts.turn()
            answer = await client.unary(REPORT, report, DEADLINE_S)
            reasons = [one.reason for one in pb.ReportResponse.FromString(answer).results]
            if len(reasons) != _OUTCOMES or not set(reasons) <= _REASONS:
                raise Fault(f"{len(reasons)} results, with {sorted(set(reasons))}")
            attempts.count("reported")
            attempts.sent_bytes += len(report)

    return _by(Ours, rounds)


def wild_calls() -> Life:
    """Calls whose first model's endpoint breaks HTTP/2: another one answers."""
    asked = prepared.inferred(b"", capability=WILD)

    async def rounds(client: Client, attempts: Attempts) -> None:
        while True:
            await attempts.turn()
            calls = (client.unary(INFER, asked, DEADLINE_S) for _ in range(_WILD_CALLS))
            await asyncio.gather(*calls)
            attempts.count("answered")
            attempts.sent_bytes += _WILD_CALLS * len(asked)

    return _by(Ours, rounds)


def quiet() -> Life:
    """A stream that says nothing for long, on a connection of its own."""

    async def rounds(client: Client, attempts: Attempts) -> None:
        await attempts.turn()
        await watch_for(client, QUIET_S)
        attempts.count("lived")

    lives = itertools.cycle(_by(kind, rounds) for kind in (Ours, Grpcio))
    return lambda address, attempts: next(lives)(address, attempts)


def _by(
    kind: Callable[[str], Client], rounds: Callable[[Client, Attempts], Awaitable[None]]
) -> Life:
    """With a client of its own."""

    async def life(address: str, attempts: Attempts) -> None:
        client = kind(address)
        try:
            await rounds(client, attempts)
        except Refused as refused:
            raise Fault(str(refused)) from None
        finally:
            await client.close()

    return life
