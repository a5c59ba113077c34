"""Callers who do not slow down when they are refused: an open loop, and what became of each call.

`python -m benchmarks.overload_callers` takes an Order a line and prints a Tally for each.
"""

import asyncio
import contextlib
import heapq
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack

import grpc
import uvloop
from pydantic import BaseModel

from benchmarks.cpu_time import cpu_s
from benchmarks.load import arrivals_s
from turnout.status import error_of

SHED = "SHED"


class Stream(BaseModel, frozen=True):
    """The calls of one class."""

    traffic_class: str
    request_hex: str
    rate_per_s: float
    slo_s: float


class Order(BaseModel, frozen=True):
    """What to call; what is due in the first `settle_s` is not counted."""

    address: str
    method: str
    streams: tuple[Stream, ...]
    settle_s: float
    counted_s: float
    deadline_s: float
    connections: int
    pids: tuple[int, ...]  # whose CPU time counts
    seed: int


class Fates(BaseModel):
    """Of the calls of one class that were due in the time that is counted."""

    sent: int = 0
    in_time: int = 0
    late: int = 0
    refused: int = 0
    failed: int = 0


class Tally(BaseModel):
    """What became of them."""

    classes: dict[str, Fates]
    refused: int  # those before included
    cpu_us: float  # of a call
    late_send_s: float  # the most by which a call left after it was due


class _Callers:
    """One order while it is carried out."""

    def __init__(self, order: Order, channels: list[grpc.aio.Channel]) -> None:
        self._order = order
        self._calls: list[grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = [
            channel.unary_unary(order.method) for channel in channels
        ]
        self._fates = {stream.traffic_class: Fates() for stream in order.streams}
        self._reasons: Counter[str] = Counter()
        self._late_send_s = 0.0
        self._begun_s = time.perf_counter()

    async def run(self) -> Tally:
        """Sends each call when it is due, however slow the last ones are."""
        order, cpu_before_s, sent = self._order, 0.0, 0
        async with asyncio.TaskGroup() as tasks:
            for number, (due_s, stream) in enumerate(_schedule(order)):
                await asyncio.sleep(self._begun_s + due_s - time.perf_counter())
                if due_s >= order.settle_s:
                    cpu_before_s = cpu_before_s or _cpu_s(order)
                    sent += 1
                call = self._calls[number % len(self._calls)]
                tasks.create_task(self._one(call, stream, due_s))
        return Tally(
            classes=self._fates,
            refused=self._reasons[SHED],
            cpu_us=(_cpu_s(order) - cpu_before_s) / sent * 1e6,
            late_send_s=self._late_send_s,
        )

    async def _one(
        self,
        call: "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]",
        stream: Stream,
        due_s: float,
    ) -> None:
        self._late_send_s = max(self._late_send_s, self._now_s() - due_s)
        reason = ""
        try:
            await call(bytes.fromhex(stream.request_hex), timeout=self._order.deadline_s)
        except grpc.aio.AioRpcError as error:
            reason = error_of(error).reason or error.code().name
        self._reasons[reason] += 1
        if due_s >= self._order.settle_s:
            _count(self._fates[stream.traffic_class], reason, self._now_s() - due_s, stream)

    def _now_s(self) -> float:
        return time.perf_counter() - self._begun_s


def _count(fates: Fates, reason: str, took_s: float, stream: Stream) -> None:
    fates.sent += 1
    fates.refused += reason == SHED
    fates.failed += reason not in ("", SHED)
    fates.in_time += not reason and took_s <= stream.slo_s
    fates.late += not reason and took_s > stream.slo_s


def _schedule(order: Order) -> Iterator[tuple[float, Stream]]:
    """Poisson streams, merged."""
    lasts_s = order.settle_s + order.counted_s
    due = []
    for number, stream in enumerate(order.streams):
        bursts = round(lasts_s * stream.rate_per_s)
        times = arrivals_s(bursts, stream.rate_per_s, order.seed + number)
        due.append([(due_s, stream) for due_s in times])
    return heapq.merge(*due, key=lambda one: one[0])


def _cpu_s(order: Order) -> float:
    return sum(map(cpu_s, order.pids))


async def tally(order: Order) -> Tally:
    """Carries an order out."""
    async with AsyncExitStack() as stack:
        # Else all channels of a process share one connection.
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(order.address, options))
            for _ in range(order.connections)
        ]
        for channel in channels:
            await channel.channel_ready()
        return await _Callers(order, channels).run()


def main() -> None:
    for line in sys.stdin:
        print(uvloop.run(tally(Order.model_validate_json(line))).model_dump_json(), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
