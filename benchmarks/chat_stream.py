"""Chats that are answered in pieces, through the door and through proxies.

Each event comes by itself, so nobody is helped by several in one read.
"""

from collections.abc import Iterator

from benchmarks.chat_field import Load, Point, measure, takes_s
from benchmarks.floors.proxies import ENVOY, LITELLM, NGINX
from benchmarks.grid import Held
from benchmarks.harness import Benchmark, Measured

# Eight are open at a time: events come 800 a second.
_EVENTS = Point(
    "stream",
    Load(answers=16, rate_per_s=4, events=200, gap_us=10_000),
    (Held(NGINX, "cpu", 4), Held(ENVOY, "cpu", 4), Held(LITELLM, "cpu", 1 / 5)),
)
# So many are open that each of them is lost in none of these only if all of it is streamed. Memory
# that was taken once is not given back, so it is measured once, and first.
_OPEN = Point(
    "stream.2000",
    Load(answers=2_000, rate_per_s=250, events=14, gap_us=1_000_000, rounds=1),
    (Held(NGINX, "held", 4), Held(ENVOY, "held", 2)),
)
_STARTS_PER_S = 100.0
_FIRST_EVENTS = 5
# With more it is itself too late for what is due, and every latency is that of its queue.
_LITELLM_OPEN_MAX = 64


def _first(is_open: int) -> Point:
    """So many are open while others begin, 100 a second, or one at a time."""
    rate_per_s = _STARTS_PER_S if is_open > 1 else _STARTS_PER_S / 4
    gap_us = round(is_open / _STARTS_PER_S / _FIRST_EVENTS * 1e6)
    return Point(
        f"stream.first.{is_open}",
        Load(
            answers=250 if is_open > 1 else 100,
            rate_per_s=rate_per_s,
            events=_FIRST_EVENTS,
            gap_us=gap_us,
            warm_up=is_open if is_open > 1 else 0,
        ),
        tuple(_held_first(is_open)),
    )


def _held_first(is_open: int) -> Iterator[Held]:
    for metric in ("added_p50", "added_p99"):
        yield Held(NGINX, metric, 3)
        if is_open <= _LITELLM_OPEN_MAX:
            yield Held(LITELLM, metric, 1 / 10)


_POINTS = (_OPEN, _EVENTS, *map(_first, (1, 64, 512)))


def run(toy: bool) -> list[Measured]:
    return measure(_POINTS, toy=toy)


CLAIMS = tuple(claim for point in _POINTS for claim in point.claims())
BENCHMARK = Benchmark("stream", CLAIMS, run, takes_s(_POINTS))
