"""Several workers: what they cost beside one, how even their work is, and the memory of each.

Work is what workers say that they decided. Memory is what a process has to itself (unique set
size); what the kernel holds for its sockets is not in it. The floor of memory is the stock server:
as many processes as there are workers, each with as many connections as its worker.
"""

import mmap
import resource
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.grid import STOCK, warn_if_generator_bound
from benchmarks.harness import Benchmark, Claim, Row, alternate, judge
from benchmarks.idle_callers import Crowd
from benchmarks.load import WARM_UP_BURSTS, Call, Order, Toll
from benchmarks.processes import ProcessFailed, Server, serving
from benchmarks.service import (
    ROUTE,
    Turnout,
    answer_of,
    bare_server,
    turnout_with,
    workers_when,
)

_WORKERS = 4
_SEED = 7
_RATE_PER_S = 1_000.0
_CALLS = 64  # of a burst, all connections together
_CPU_CONNECTIONS, _CPU_BURSTS, _CPU_ROUNDS = 16, 24, 12
_EVEN_BURSTS, _EVEN_ROUNDS = 4, 6
_IDLE, _IDLE_TOY = 10_000, 50
# A process has some 20 open beside its connections.
_OTHER_DESCRIPTORS = 100
_KB, _MB = 1e3, 1e6

_CPU = Claim("workers.cpu", "2 workers", "1 worker", ratio_max=1.1)
# No target was set for memory. A worker knows models, classes and a plan, and imports what it needs
# for that; a connection costs it no more than it costs the stock server.
_REST = Claim("workers.rest", "worker", STOCK, ratio_max=2, unit="MB")
_CONNECTION = Claim("workers.connection", "worker", STOCK, ratio_max=1, unit="KB")
_IMBALANCE: Mapping[int, Claim] = {
    connections: Claim(
        f"workers.imbalance.{connections}", "busiest", "mean", ratio_max=1.1, unit="calls"
    )
    for connections in (1, 2, 4, 16)
}


class Memory(NamedTuple):
    """The memory of one process."""

    rest_bytes: int
    connections: int
    connection_bytes: float  # of each


class Stage(NamedTuple):
    """What all of it needs."""

    folder: Path
    endpoint: str
    generator: Server
    toy: bool

    def turnout(self, workers: int) -> AbstractContextManager[Turnout]:
        window_s = 0.5 if self.toy else 5
        return turnout_with(workers, self.folder, self.endpoint, ROUTE, window_s=window_s)

    def toll(self, address: str, pids: Sequence[int], connections: int, bursts: int) -> Toll:
        """What bursts of calls cost that are spread over so many connections."""
        order = Order(
            **_call(address).model_dump(),
            pids=tuple(pids),
            connections=connections,
            calls=_CALLS // connections,
            bursts=bursts,
            rate_per_s=_RATE_PER_S,
        )
        return Toll.model_validate_json(self.generator.ask(order.model_dump_json()))


def run(toy: bool) -> list[Row]:
    idle = _IDLE_TOY if toy else _IDLE
    _raise_descriptor_limit(idle + _OTHER_DESCRIPTORS)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        endpoint = stack.enter_context(bare_server(folder, "endpoint", "--answer", ""))
        generator = serving("generator", "-m", "benchmarks.load", folder=folder)
        stage = Stage(folder, endpoint.address, stack.enter_context(generator), toy)
        return [_cpu_row(stage), *_rows_of_four(stage, idle)]


def busiest_and_mean(calls: Sequence[int], connections: int) -> tuple[float, float]:
    """Of workers; the mean is of those that could have had any, one for each connection."""
    return max(calls), sum(calls) / min(connections, len(calls))


def _cpu_row(stage: Stage) -> Row:
    bursts, rounds = (1, 1) if stage.toy else (_CPU_BURSTS, _CPU_ROUNDS)

    def cpu_us(service: Turnout) -> float:
        pids = tuple(service.pids.values())
        toll = stage.toll(service.address, pids, _CPU_CONNECTIONS, bursts)
        if not stage.toy:
            warn_if_generator_bound(f"{_CPU.name}, {len(pids)} workers", toll)
        return toll.cpu_us

    with stage.turnout(2) as two, stage.turnout(1) as one:
        subject, floor = partial(cpu_us, two), partial(cpu_us, one)
        return judge(_CPU, alternate(_CPU.name, subject, floor, rounds=rounds))


def _rows_of_four(stage: Stage, idle: int) -> list[Row]:
    with stage.turnout(_WORKERS) as service:
        rest_bytes = {name: _unique_bytes(pid) for name, pid in service.pids.items()}
        imbalance = list(_imbalance_rows(stage, service))  # which warms the workers up
        held = list(_held_by_workers(stage, service, rest_bytes, idle))
        answer = answer_of(service, ROUTE.method, ROUTE.request)
    stock = [_held_by_stock(stage, answer, each.connections) for each in held]
    pairs = list(zip(held, stock, strict=True))
    return [
        *imbalance,
        judge(_REST, [(ours.rest_bytes / _MB, its.rest_bytes / _MB) for ours, its in pairs]),
        judge(
            _CONNECTION,
            [(ours.connection_bytes / _KB, its.connection_bytes / _KB) for ours, its in pairs],
        ),
    ]


def _imbalance_rows(stage: Stage, service: Turnout) -> Iterator[Row]:
    bursts, rounds = (1, 1) if stage.toy else (_EVEN_BURSTS, _EVEN_ROUNDS)
    decided = _decided(service, service.asked)
    for connections, claim in _IMBALANCE.items():
        found = []
        for _ in range(rounds):
            stage.toll(service.address, tuple(service.pids.values()), connections, bursts)
            total = sum(decided.values()) + (WARM_UP_BURSTS + bursts) * _CALLS
            before, decided = decided, _decided(service, total)
            calls = [decided[name] - before[name] for name in decided]
            found.append(busiest_and_mean(calls, connections))
        yield judge(claim, found)


def _decided(service: Turnout, total: int) -> dict[str, int]:
    """What each worker has decided since it began, once that is so much in all."""
    workers = workers_when(service, lambda found: sum(each.decided for each in found) == total)
    return {name: each.decided for name, each in workers.items()}


def _held_by_workers(
    stage: Stage, service: Turnout, rest_bytes: Mapping[str, int], idle: int
) -> Iterator[Memory]:
    before = {name: _unique_bytes(pid) for name, pid in service.pids.items()}
    with _crowd(stage, service.address, idle):
        workers = workers_when(
            service, lambda found: sum(each.connections for each in found) == idle
        )
        for name, pid in service.pids.items():
            connections = workers[name].connections
            yield Memory(rest_bytes[name], connections, _each_bytes(pid, before[name], connections))


def _held_by_stock(stage: Stage, answer: bytes, connections: int) -> Memory:
    with bare_server(stage.folder, "stock", "--answer", answer.hex()) as side:
        answer_of(side, ROUTE.method, ROUTE.request)
        (pid,) = side.pids
        rest_bytes = _unique_bytes(pid)
        stage.toll(side.address, side.pids, _CPU_CONNECTIONS, _EVEN_BURSTS)  # to warm it up
        before = _unique_bytes(pid)
        with _crowd(stage, side.address, connections):
            return Memory(rest_bytes, connections, _each_bytes(pid, before, connections))


@contextmanager
def _crowd(stage: Stage, address: str, connections: int) -> Iterator[None]:
    """Idle connections, each of which has had a call."""
    crowd = Crowd(**_call(address).model_dump(), connections=connections)
    with serving("crowd", "-m", "benchmarks.idle_callers", folder=stage.folder) as callers:
        callers.ask(crowd.model_dump_json())
        yield


def _call(address: str) -> Call:
    return Call(
        address=address,
        method=ROUTE.method,
        request_hex=ROUTE.request.hex(),
        answer_bytes_min=1,
        metadata="fresh",
        seed=_SEED,
    )


def _each_bytes(pid: int, before: int, connections: int) -> float:
    """Of memory that came with connections; what is less than a page cannot be told from none."""
    return max(_unique_bytes(pid) - before, mmap.PAGESIZE) / connections


def _unique_bytes(pid: int) -> int:
    unique: int = psutil.Process(pid).memory_full_info().uss
    return unique


def _raise_descriptor_limit(needed: int) -> None:
    """Of this process and those that it starts; raises ProcessFailed if it may not be so high."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ProcessFailed(
            f"workers needs {needed:,} file descriptors, and the hard limit is {hard:,} "
            "(ulimit -Hn): raise it"
        )
    with suppress(OSError, ValueError):  # macOS names a limit that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


CLAIMS = (_CPU, *_IMBALANCE.values(), _REST, _CONNECTION)
_STARTS_S = 30.0  # of three services and four stock servers
_COUNTED_S = 0.5  # until the workers have said what they decided
_CROWDS_S = 30.0  # as many connections as one crowd twice, each with a call
_CPU_S = (1 + _CPU_ROUNDS) * 2 * (WARM_UP_BURSTS + _CPU_BURSTS) * _CALLS / _RATE_PER_S
_EVEN_S = _COUNTED_S + (WARM_UP_BURSTS + _EVEN_BURSTS) * _CALLS / _RATE_PER_S
_TAKES_S = _STARTS_S + _CPU_S + len(_IMBALANCE) * _EVEN_ROUNDS * _EVEN_S + _CROWDS_S
BENCHMARK = Benchmark("workers", CLAIMS, run, _TAKES_S)
