"""The stall of a worker's event loop while a plan of 10,000 cells is received and published."""

import math
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.harness import Benchmark, Claim, Row, alternate, judge
from benchmarks.processes import answer, serving
from server.control.parts import PART_CELLS_MAX

# The floor receives as many bytes in as many parts. What a caller waits is the stall itself, so it
# is the time that is held to something: 1 ms.
CLAIM = Claim("publish", "plan put in force", "parts dropped", subject_us_max=1_000)

_ROUNDS = 12
_FOLLOWER_S = 2.0  # a process that imports what a worker does, and takes eleven plans


def run(toy: bool) -> list[Row]:
    rounds, plans, cells = (1, 1, 1_000) if toy else (_ROUNDS, 10, 10_000)
    parts = math.ceil(cells / PART_CELLS_MAX)
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/control.sock"
        source = ("-m", "benchmarks.plan_source", socket, str(cells))
        with serving("plan-source", *source, folder=Path(folder)) as server:
            server.line()
            subject, floor = (
                partial(_stall_us, f"unix:{socket}", what, plans, parts)
                for what in ("publish", "discard")
            )
            return [judge(CLAIM, alternate(CLAIM.name, subject, floor, rounds=rounds))]


def _stall_us(address: str, what: str, plans: int, parts: int) -> float:
    return float(answer("-m", "benchmarks.follower", address, what, str(plans), str(parts)))


BENCHMARK = Benchmark("publish", (CLAIM,), run, (1 + _ROUNDS) * 2 * _FOLLOWER_S)
