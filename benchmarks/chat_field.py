"""Chats through a real `turnout serve` and its door, beside proxies that others trust.

All stand before one endpoint, which answers at once, and take turns in each round, so that what
else the machine does falls on all. Straight to the endpoint is asked too: what a proxy adds to the
time until the first event is told by that.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.chat_load import ChatToll, Order
from benchmarks.floors.proxies import (
    ENVOY,
    LITELLM,
    NGINX,
    absence,
    envoy_http,
    litellm,
    nginx_http,
)
from benchmarks.grid import SUBJECT, Held, warn_if_generator_bound
from benchmarks.harness import Claim, Measured, Skipped, judge
from benchmarks.processes import ProcessFailed, Server, serving
from benchmarks.service import door
from benchmarks.sides import Side

STRAIGHT = "straight"
# What cannot be told from nothing, of latencies and of memory.
_ADDED_US_MIN, _HELD_BYTES_MIN = 1.0, 4_096.0
_REQUEST_BYTES = 1_024
_ROUNDS = 6  # the fewest that an interval of 95 % can be made of
_SEED = 7
_TOY_ANSWERS, _TOY_EVENTS, _TOY_GAP_US, _TOY_RATE_PER_S = 4, 3, 1_000, 200.0
_START_S = 40.0  # of all sides; half of it is LiteLLM's
_KB = 1e3

_START = {ENVOY: envoy_http, NGINX: nginx_http, LITELLM: litellm}
# Straight and through: what is read off both.
_METRICS: Mapping[str, Callable[[ChatToll, ChatToll], float]] = {
    "cpu": lambda _, toll: toll.cpu_us,
    "p50": lambda _, toll: toll.p50_us,
    "p99": lambda _, toll: toll.p99_us,
    "added_p50": lambda straight, toll: max(toll.p50_us - straight.p50_us, _ADDED_US_MIN),
    "added_p99": lambda straight, toll: max(toll.p99_us - straight.p99_us, _ADDED_US_MIN),
    "held": lambda _, toll: max(toll.held_bytes, _HELD_BYTES_MIN) / _KB,
}
_UNITS = {"held": "KB"}


class Load(NamedTuple):
    """What arrives, and what it is answered with."""

    answers: int
    rate_per_s: float
    events: int = 0  # of each answer; without any it comes whole
    gap_us: int = 0  # between them
    warm_up: int = 0  # answers before those that are counted
    rounds: int = _ROUNDS

    @property
    def takes_s(self) -> float:
        """Of one side in one round."""
        sent_s = (self.warm_up + self.answers) / self.rate_per_s
        return sent_s + self.events * self.gap_us / 1e6

    def toy(self) -> "Load":
        events = min(self.events, _TOY_EVENTS)
        return Load(_TOY_ANSWERS, _TOY_RATE_PER_S, events, _TOY_GAP_US, 0, 1)


class Point(NamedTuple):
    """A load, and what is read off it."""

    name: str
    load: Load
    held: tuple[Held, ...]

    def claims(self) -> Iterator[Claim]:
        """One for each that is held, as "stream.cpu/nginx"."""
        for floor, metric, ratio_max in self.held:
            unit = _UNITS.get(metric, "us")
            name = f"{self.name}.{metric}/{floor}"
            yield Claim(name, SUBJECT, floor, ratio_max=ratio_max, unit=unit)


def takes_s(points: Sequence[Point]) -> float:
    """What points take in full, calculated."""
    return _START_S + sum(_point_s(point) for point in points)


def _point_s(point: Point) -> float:
    sides = len({SUBJECT, STRAIGHT} | {held.floor for held in point.held})
    return sides * _warm_and_rounds(point.load) * point.load.takes_s


def _warm_and_rounds(load: Load) -> int:
    """One that is asked for once is asked of processes that are new to it."""
    return load.rounds + (load.rounds > 1)


def measure(points: Sequence[Point], *, toy: bool) -> list[Measured]:
    """A row for each claim of each point; skipped where the floor is not on this machine."""
    with tempfile.TemporaryDirectory() as name, _field(Path(name), toy=toy) as (sides, generator):
        return [row for point in points for row in _rows(point, sides, generator, toy=toy)]


@contextmanager
def _field(folder: Path, *, toy: bool) -> Iterator[tuple[Mapping[str, Side], Server]]:
    with ExitStack() as stack:
        module = "benchmarks.floors.chat_endpoint"
        endpoint = stack.enter_context(serving("endpoint", "-m", module, folder=folder))
        address = f"127.0.0.1:{endpoint.line()}"
        sides = {STRAIGHT: Side(address, (endpoint.process.pid,))}
        ours = door(folder, f"http://{address}/v1", _body(Load(1, 1)), window_s=0.5 if toy else 5)
        sides[SUBJECT] = stack.enter_context(ours)
        for floor, start in _START.items():
            if not absence(floor):
                sides[floor] = stack.enter_context(start(folder, address))
        generator = serving("generator", "-m", "benchmarks.chat_load", folder=folder)
        yield sides, stack.enter_context(generator)


def _rows(
    point: Point, sides: Mapping[str, Side], generator: Server, *, toy: bool
) -> Iterator[Measured]:
    floors = dict.fromkeys(held.floor for held in point.held)
    present = [floor for floor in floors if floor in sides]
    asked = {name: sides[name] for name in (STRAIGHT, SUBJECT, *present)} if present else {}
    rounds = _rounds(point, asked, generator, toy=toy) if asked else []
    for claim, (floor, metric, _) in zip(point.claims(), point.held, strict=True):
        if floor in present:
            read = _METRICS[metric]
            yield judge(
                claim,
                [(read(t[STRAIGHT], t[SUBJECT]), read(t[STRAIGHT], t[floor])) for t in rounds],
            )
        else:
            yield Skipped(claim.name, claim.subject, claim.floor, absence(floor))


def _rounds(
    point: Point, sides: Mapping[str, Side], generator: Server, *, toy: bool
) -> list[dict[str, ChatToll]]:
    """What each round took; a first one warms up and is dropped."""
    load = point.load.toy() if toy else point.load
    taken = []
    for number in range(_warm_and_rounds(load)):
        print(f"\r{point.name}: round {number} ", end="", file=sys.stderr, flush=True)
        taken.append({name: _toll(load, name, side, generator) for name, side in sides.items()})
    print(file=sys.stderr)
    for tolls in () if toy else taken:
        for name, toll in tolls.items():
            warn_if_generator_bound(f"{point.name}, {name}", toll)
    return taken[-load.rounds :]


def _toll(load: Load, name: str, side: Side, generator: Server) -> ChatToll:
    order = Order(
        address=side.address,
        body=_body(load).decode(),
        events=load.events,
        warm_up=load.warm_up,
        answers=load.answers,
        rate_per_s=load.rate_per_s,
        seed=_SEED,
        pids=side.pids,
    )
    try:
        return ChatToll.model_validate_json(generator.ask(order.model_dump_json()))
    except ProcessFailed as error:
        raise ProcessFailed(f"{name} at {side.address}: {error}") from None


def _body(load: Load) -> bytes:
    """A request of 1 KB, which says what it is to be answered with."""
    pace = f"events={load.events} gap_us={load.gap_us} " if load.events else ""
    request: dict[str, object] = {"model": "auto", "stream": bool(load.events)}
    words = "Which of these invoices is late, and why? "
    text = (pace + words * (_REQUEST_BYTES // len(words)))[: _REQUEST_BYTES - 90]
    return json.dumps(request | {"messages": [{"role": "user", "content": text}]}).encode()
