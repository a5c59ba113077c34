"""Chats of 1 KB that are answered with 1 KB, whole, through the door and through proxies."""

from benchmarks.chat_field import Load, Point, measure, takes_s
from benchmarks.floors.proxies import ENVOY, LITELLM, NGINX
from benchmarks.grid import Held
from benchmarks.harness import Benchmark, Measured

_POINTS = (
    Point(
        "chat",
        Load(answers=300, rate_per_s=100),
        (
            # nginx and Envoy decide nothing and read nothing; these two only must not get worse.
            Held(NGINX, "cpu", 12),
            Held(ENVOY, "cpu", 8),
            Held(LITELLM, "cpu", 1 / 5),
            Held(NGINX, "added_p50", 8),
            Held(LITELLM, "added_p50", 1 / 5),
            Held(LITELLM, "added_p99", 1 / 5),
        ),
    ),
)


def run(toy: bool) -> list[Measured]:
    return measure(_POINTS, toy=toy)


CLAIMS = tuple(claim for point in _POINTS for claim in point.claims())
BENCHMARK = Benchmark("chat", CLAIMS, run, takes_s(_POINTS))
