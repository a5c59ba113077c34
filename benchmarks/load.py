"""A load generator process, cheap enough to measure others.

Calls come in bursts, an open loop: each burst sends `calls` calls on each of `connections`
connections when it is due, however slow the last ones are, and latencies count from then. So every
layout has the same arrivals, and differs only in how many calls share a read. `python -m
benchmarks.load` takes an Order a line and prints a Toll for each.
"""

import asyncio
import itertools
import math
import os
import random
import ssl
import sys
import time
from collections.abc import Callable, Sequence

import uvloop
from pydantic import BaseModel

from benchmarks.cpu_time import cpu_s
from benchmarks.wire_client import Connection, Heads, Metadata, Target

# Enough for a connection to open its window and for every cache on the way to fill.
WARM_UP_BURSTS = 4
# What is not answered by then is lost, and ends the run.
_TIMEOUT_S = 20.0
_PATIENCE_S = 0.001


class Call(BaseModel, frozen=True):
    """What to call, and how."""

    address: str
    method: str
    request_hex: str
    answer_bytes_min: int  # a shorter answer is none
    statuses: tuple[int, ...] = (0,)  # of gRPC: any other ends the run
    metadata: Metadata
    ca_file: str = ""  # of TLS; plaintext without
    seed: int


class Order(Call, frozen=True):
    """How often to call, and whose CPU time to count meanwhile."""

    pids: tuple[int, ...]  # all workers of a service are counted together
    connections: int
    calls: int  # of each connection in a burst
    bursts: int
    rate_per_s: float  # calls a second, all connections together

    def cpu_s(self) -> float:
        """What those that are counted have used so far."""
        return sum(map(cpu_s, self.pids))


class Toll(BaseModel, frozen=True):
    """What the calls cost."""

    cpu_us: float  # of the processes counted, for each call
    p50_us: float  # from when a call was due
    p99_us: float
    p999_us: float
    late_p99_us: float  # by which bursts left after they were due: the generator's own fault
    generator_load: float  # its CPU time as a fraction of one core


def arrivals_s(bursts: int, rate_per_s: float, seed: int) -> list[float]:
    """Poisson arrivals from 0 on; the same for the same seed."""
    chance = random.Random(seed)
    gaps = (chance.expovariate(rate_per_s) for _ in range(bursts))
    return list(itertools.accumulate(gaps))


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that this part of all does not exceed."""
    return sorted(values)[math.ceil(part * len(values)) - 1]


async def toll(order: Order) -> Toll:
    """Makes the calls of an order."""
    now_s, latencies_s = time.perf_counter, list[float]()
    connections = [
        await connect(order, number, latencies_s.append) for number in range(order.connections)
    ]
    burst_rate = order.rate_per_s / (order.connections * order.calls)
    await _bursts(connections, order.calls, arrivals_s(WARM_UP_BURSTS, burst_rate, order.seed + 1))
    await answers(connections, latencies_s, WARM_UP_BURSTS * order.connections * order.calls)
    latencies_s.clear()
    begun_s, server_s, generator_s = now_s(), order.cpu_s(), cpu_s(os.getpid())
    total = order.bursts * order.connections * order.calls
    late_us = await _bursts(
        connections, order.calls, arrivals_s(order.bursts, burst_rate, order.seed)
    )
    await answers(connections, latencies_s, total)
    server_s, generator_s = order.cpu_s() - server_s, cpu_s(os.getpid()) - generator_s
    for connection in connections:
        connection.close()
    return Toll(
        cpu_us=server_s / total * 1e6,
        p50_us=percentile(latencies_s, 0.5) * 1e6,
        p99_us=percentile(latencies_s, 0.99) * 1e6,
        p999_us=percentile(latencies_s, 0.999) * 1e6,
        late_p99_us=percentile(late_us, 0.99),
        generator_load=generator_s / (now_s() - begun_s),
    )


async def connect(call: Call, number: int, on_answered: Callable[[float], None]) -> Connection:
    """A connection for such calls; those of other numbers differ in their metadata."""
    host, _, port = call.address.rpartition(":")
    target = Target(call.address, call.method, tls=bool(call.ca_file))
    heads = Heads(target, call.metadata, random.Random(call.seed * 1_000 + number))
    connection = Connection(
        heads,
        bytes.fromhex(call.request_hex),
        call.answer_bytes_min,
        on_answered,
        time.perf_counter,
        call.statuses,
    )
    context = None
    if call.ca_file:
        context = ssl.create_default_context(cafile=call.ca_file)
        context.set_alpn_protocols(["h2"])
    await asyncio.get_running_loop().create_connection(
        lambda: connection, host.strip("[]"), int(port), ssl=context
    )
    return connection


async def _bursts(
    connections: Sequence[Connection], calls: int, due_s: Sequence[float]
) -> list[float]:
    """Sends every burst when it is due; by how many microseconds each was late."""

    def send(due: float) -> None:
        for connection in connections:
            connection.send(calls, due)

    return await paced(send, due_s)


async def paced(send: Callable[[float], None], due_s: Sequence[float]) -> list[float]:
    """Sends when each is due; by how many microseconds each was late."""
    late_us: list[float] = []

    def begin(due: float) -> None:
        late_us.append((time.perf_counter() - due) * 1e6)
        send(due)

    loop, begun_s = asyncio.get_running_loop(), time.perf_counter()

    def pace() -> None:
        """A loop's own timers are late by up to a millisecond."""
        for due in due_s:
            time.sleep(max(0.0, begun_s + due - time.perf_counter()))
            loop.call_soon_threadsafe(begin, begun_s + due)

    await asyncio.to_thread(pace)
    return late_us


async def answers(
    connections: Sequence[Connection], latencies_s: Sequence[float], total: int
) -> None:
    """Waits for them all; raises what failed, and TimeoutError."""
    async with asyncio.timeout(_TIMEOUT_S):
        answered = False
        while not answered:
            answered = len(latencies_s) >= total
            for connection in connections:
                if connection.failure:
                    raise connection.failure
            await asyncio.sleep(_PATIENCE_S)


def main() -> None:
    for line in sys.stdin:
        print(uvloop.run(toll(Order.model_validate_json(line))).model_dump_json(), flush=True)


if __name__ == "__main__":
    main()
