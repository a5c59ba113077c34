"""One call under many loads: what it costs a server, with every floor in turn, as rows.

Loads are open loops of bursts (benchmarks/load.py). A rate may be a part of what the stock server
sustains, which is what its CPU time a call lets it answer on one core.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.floors.proxies import absence
from benchmarks.harness import Claim, Measured, Row, Skipped, judge
from benchmarks.load import WARM_UP_BURSTS, Order, Toll
from benchmarks.processes import ProcessFailed, Server, serving
from benchmarks.service import Exchange, answer_of
from benchmarks.sides import Certificate, Side
from benchmarks.wire_client import Metadata

SUBJECT, STOCK = "turnout", "grpc.aio"
LAYOUTS = ((1, 64), (16, 4), (64, 1))  # connections x calls of each in a burst
METADATA: tuple[Metadata, ...] = ("fixed", "fresh", "huffman")
# Whole bursts: at least this many calls are counted, at 1,000 a second in two thirds of a second.
_CALLS = 640
_ROUNDS = 6  # the fewest that an interval of 95 % can be made of
# A generator that sends later than this, or works harder, measures itself.
_LATE_US_MAX = 2_000.0
_GENERATOR_LOAD_MAX = 0.7
_SEED = 7
# Of a toll, beside its calls: connections, and the last answers.
_TOLL_S = 0.05
# Of a field: a `turnout serve` that has a plan, and its floors.
_START_S = 10.0
_TOY_RATE_PER_S = 20_000.0  # a toy need not keep up

_METRICS: Mapping[str, Callable[[Toll], float]] = {
    "cpu": lambda toll: toll.cpu_us,
    "p50": lambda toll: toll.p50_us,
    "p99": lambda toll: toll.p99_us,
    "p999": lambda toll: toll.p999_us,
}


class Load(NamedTuple):
    """What arrives."""

    connections: int
    calls: int  # of each connection in a burst
    metadata: Metadata = "fresh"
    rate_per_s: float = 1_000.0  # calls a second, or
    of_stock: float = 0.0  # this part of what the stock server sustains
    counted: int = _CALLS

    @property
    def burst(self) -> int:
        """Calls that are due together."""
        return self.connections * self.calls

    @property
    def bursts(self) -> int:
        """Whole ones, that hold what is counted."""
        return -(-self.counted // self.burst)


class Held(NamedTuple):
    """A metric, the floor it is compared with, and the ratio it is held to."""

    floor: str
    metric: str
    ratio_max: float


class Point(NamedTuple):
    """A load, and what is read off it."""

    name: str
    load: Load
    held: tuple[Held, ...]

    def claims(self, subject: str) -> Iterator[Claim]:
        """One for each that is held, as "route.1x64.fresh.cpu/grpc.aio"."""
        for floor, metric, ratio_max in self.held:
            yield Claim(f"{self.name}.{metric}/{floor}", subject, floor, ratio_max=ratio_max)


def layouts(
    name: str, held: Callable[[int], Iterable[Held]], metadata: Sequence[Metadata] = METADATA
) -> Iterator[Point]:
    """From all calls on one connection to a connection for each; `held` is told the connections."""
    for connections, calls in LAYOUTS:
        for kind in metadata:
            yield Point(
                f"{name}.{connections}x{calls}.{kind}",
                Load(connections, calls, kind),
                tuple(held(connections)),
            )


class Field:
    """Those that are compared, what each is asked, and the generator that loads them."""

    def __init__(
        self,
        folder: Path,
        sides: Mapping[str, Side],
        exchanges: Mapping[str, Exchange],
        *,
        tls: Certificate | None,
    ) -> None:
        self._folder = folder
        self._sides = sides
        self._exchanges = exchanges
        self._ca_file = str(tls.ca_file) if tls else ""
        # Answers to one question differ by an id or an endpoint, not by half.
        self._answer_bytes_min = {
            name: len(answer_of(side, exchanges[name].method, exchanges[name].request, tls)) // 2
            for name, side in sides.items()
        }

    def rows(self, subject: str, points: Sequence[Point], *, toy: bool) -> Iterator[Measured]:
        """A row for each claim of each point; skipped where the floor is not among the sides."""
        with serving("generator", "-m", "benchmarks.load", folder=self._folder) as generator:
            for point in points:
                yield from self._rows_of(subject, point, generator, toy=toy)

    def _rows_of(
        self, subject: str, point: Point, generator: Server, *, toy: bool
    ) -> Iterator[Measured]:
        floors = dict.fromkeys(held.floor for held in point.held)
        present = [floor for floor in floors if floor in self._sides]
        rounds = self._rounds(point, (SUBJECT, *present), generator, toy=toy) if present else []
        for claim, (floor, metric, _) in zip(point.claims(subject), point.held, strict=True):
            if floor in present:
                yield _row(claim, metric, floor, rounds)
            else:
                yield Skipped(claim.name, claim.subject, floor, absence(floor))

    def _rounds(
        self, point: Point, names: Sequence[str], generator: Server, *, toy: bool
    ) -> list[dict[str, Toll]]:
        """What each round took; a first one warms up and is dropped."""
        rate_per_s = self._rate_per_s(point.load, generator, toy=toy)
        warm_up, rounds = (0, 1) if toy else (1, _ROUNDS)
        taken = []
        for number in range(warm_up + rounds):
            print(f"\r{point.name}: round {number} ", end="", file=sys.stderr, flush=True)
            taken.append(
                {n: self._toll(point.load, rate_per_s, n, generator, toy=toy) for n in names}
            )
        print(file=sys.stderr)
        for tolls in () if toy else taken:
            for side, toll in tolls.items():
                warn_if_generator_bound(f"{point.name}, {side}", toll)
        return taken[warm_up:]

    def _rate_per_s(self, load: Load, generator: Server, *, toy: bool) -> float:
        if toy:
            return _TOY_RATE_PER_S
        if not load.of_stock:
            return load.rate_per_s
        stock = self._toll(load, load.rate_per_s / 2, STOCK, generator, toy=toy)
        return load.of_stock * 1e6 / stock.cpu_us

    def _toll(
        self, load: Load, rate_per_s: float, name: str, generator: Server, *, toy: bool
    ) -> Toll:
        side, exchange = self._sides[name], self._exchanges[name]
        order = Order(
            address=side.address,
            method=exchange.method,
            request_hex=exchange.request.hex(),
            answer_bytes_min=self._answer_bytes_min[name],
            metadata=load.metadata,
            ca_file=self._ca_file,
            pids=side.pids,
            connections=load.connections,
            calls=load.calls,
            bursts=1 if toy else load.bursts,
            rate_per_s=rate_per_s,
            seed=_SEED,
        )
        try:
            return Toll.model_validate_json(generator.ask(order.model_dump_json()))
        except ProcessFailed as error:
            asked = f"{rate_per_s:,.0f} calls a second on {load.connections} connections"
            raise ProcessFailed(f"{name} at {side.address}, {asked}: {error}") from None


def _row(claim: Claim, metric: str, floor: str, rounds: Sequence[Mapping[str, Toll]]) -> Row:
    read = _METRICS[metric]
    return judge(claim, [(read(tolls[SUBJECT]), read(tolls[floor])) for tolls in rounds])


def takes_s(points: Iterable[Point], stock_us: float) -> float:
    """What points take in full, where the stock server uses so much CPU time a call.

    Calculated from how many calls are sent at which rate.
    """
    return _START_S + sum(_point_s(point, stock_us) for point in points)


def _point_s(point: Point, stock_us: float) -> float:
    load = point.load
    sides = 1 + len({held.floor for held in point.held})
    sent = (WARM_UP_BURSTS + load.bursts) * load.burst
    rate_per_s = load.of_stock * 1e6 / stock_us if load.of_stock else load.rate_per_s
    each_s = _TOLL_S + sent / rate_per_s
    # A rate that is a part of what the stock server sustains is found out at half of this one.
    found_s = 2 * sent / load.rate_per_s if load.of_stock else 0.0
    return found_s + (1 + _ROUNDS) * sides * each_s


def warn_if_generator_bound(name: str, toll: Toll) -> None:
    """A load generator that is itself the bottleneck is no result."""
    if toll.late_p99_us > _LATE_US_MAX or toll.generator_load > _GENERATOR_LOAD_MAX:
        print(
            f"{name}: the load generator is the bottleneck, do not trust this: p99 of its own "
            f"delay {toll.late_p99_us:,.0f} us, {toll.generator_load:.0%} of a core",
            file=sys.stderr,
        )
