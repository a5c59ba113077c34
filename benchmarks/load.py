"""A load generator process: calls one method, first one at a time, then at a fixed rate.

The rate is an open loop: arrivals are Poisson, a call is sent when it is due however slow the last
ones are, and its latency counts from then. `python -m benchmarks.load JSON` takes an Order and
prints a Toll, so that what making load costs falls on no process that is measured.
"""

import asyncio
import itertools
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import grpc
import psutil
import uvloop
from pydantic import BaseModel

# Enough for a connection to open its window and for every cache on the way to fill.
_WARM_UP_CALLS = 50
_TIMEOUT_S = 10.0


class Order(BaseModel, frozen=True):
    """What to call, how often, and whose CPU time to count meanwhile."""

    address: str
    method: str
    request_hex: str
    pid: int
    serial_calls: int
    paced_calls: int
    rate_per_s: float
    seed: int


class Toll(BaseModel, frozen=True):
    """What the calls cost."""

    serial_us: float  # median latency of one call at a time
    cpu_us: float  # of the process counted, for each call at the fixed rate
    p50_us: float  # from when a call was due
    p99_us: float
    late_p99_us: float  # by which calls left after they were due: the generator's own fault
    generator_load: float  # its CPU time as a fraction of one core, at the fixed rate


class Caller:
    """Makes one call again and again; any failure ends the run."""

    def __init__(self, channel: grpc.aio.Channel, order: Order) -> None:
        self._call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            order.method
        )
        self._request = bytes.fromhex(order.request_hex)

    async def serial_us(self, calls: int) -> list[float]:
        """Latencies of calls that wait for each other."""
        latencies_us = []
        for _ in range(calls):
            sent_s = time.perf_counter()
            await self._call(self._request, timeout=_TIMEOUT_S)
            latencies_us.append((time.perf_counter() - sent_s) * 1e6)
        return latencies_us

    async def paced_us(self, due_s: Sequence[float]) -> tuple[list[float], list[float]]:
        """Latencies from when calls were due, and by how much they left late."""
        latencies_us: list[float] = []
        late_us: list[float] = []

        async def call(due_s: float) -> None:
            late_us.append((time.perf_counter() - due_s) * 1e6)
            await self._call(self._request, timeout=_TIMEOUT_S)
            latencies_us.append((time.perf_counter() - due_s) * 1e6)

        async with asyncio.TaskGroup() as tasks:
            await asyncio.to_thread(
                _pace, asyncio.get_running_loop(), lambda due: tasks.create_task(call(due)), due_s
            )
        return latencies_us, late_us


def _pace(
    loop: asyncio.AbstractEventLoop, send: Callable[[float], object], due_s: Sequence[float]
) -> None:
    """Sends in the loop when calls are due; a loop's own timers are late by up to a millisecond."""
    for due in due_s:
        time.sleep(max(0.0, due - time.perf_counter()))
        loop.call_soon_threadsafe(send, due)


def arrivals_s(calls: int, rate_per_s: float, seed: int) -> list[float]:
    """Poisson arrivals from 0 on; the same for the same seed."""
    chance = random.Random(seed)
    gaps = (chance.expovariate(rate_per_s) for _ in range(calls))
    return list(itertools.accumulate(gaps))


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that this part of all does not exceed."""
    return sorted(values)[math.ceil(part * len(values)) - 1]


async def toll(order: Order) -> Toll:
    """Makes the calls of an order."""
    server, generator = psutil.Process(order.pid), psutil.Process()
    async with grpc.aio.insecure_channel(order.address) as channel:
        caller = Caller(channel, order)
        await caller.serial_us(_WARM_UP_CALLS)
        serial_us = await caller.serial_us(order.serial_calls)
        begun_s = time.perf_counter()
        server_s, generator_s = _cpu_s(server), _cpu_s(generator)
        due_s = arrivals_s(order.paced_calls, order.rate_per_s, order.seed)
        latencies_us, late_us = await caller.paced_us([begun_s + due for due in due_s])
        server_s, generator_s = _cpu_s(server) - server_s, _cpu_s(generator) - generator_s
    return Toll(
        serial_us=statistics.median(serial_us),
        cpu_us=server_s / order.paced_calls * 1e6,
        p50_us=percentile(latencies_us, 0.5),
        p99_us=percentile(latencies_us, 0.99),
        late_p99_us=percentile(late_us, 0.99),
        generator_load=generator_s / (time.perf_counter() - begun_s),
    )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    print(uvloop.run(toll(Order.model_validate_json(sys.argv[1]))).model_dump_json())
