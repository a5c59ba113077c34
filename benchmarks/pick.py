"""The pick of a model from the weight table, with a health mask."""

import random
import time
from functools import partial

from benchmarks.harness import Benchmark, Claim, Row, compare, compared_s
from server.routing.catalog import Cell
from server.routing.selector import Selector, WeightTable

# The floor is one random number, with which a coin toss would begin, though it keeps a mix worse.
CLAIM = Claim("pick", "Selector.pick", "random.random()", subject_us_max=1)

_ROUNDS, _CALLS, _BOTH_US = 30, 100_000, 1.4
_CELL = Cell("code", "team-a", "python", "s1")
# Three models are open, so credits have to be compared; a fourth of the catalog is ejected.
_SHARES = (0.55, 0.3, 0.15)
_EJECTED = 1 << 3


def run(toy: bool) -> list[Row]:
    rounds, calls = (3, 1_000) if toy else (_ROUNDS, _CALLS)
    pick = partial(_selector().pick, _CELL, _EJECTED)
    clock = time.perf_counter
    return [compare(CLAIM, pick, random.random, rounds=rounds, calls=calls, clock=clock)]


def _selector() -> Selector:
    shares = tuple((model, share, 1_000) for model, share in enumerate(_SHARES))
    selector = Selector()
    selector.publish(WeightTable("p1", {_CELL: shares}, {}))
    return selector


BENCHMARK = Benchmark("pick", (CLAIM,), run, compared_s(_ROUNDS, _CALLS, _BOTH_US))
