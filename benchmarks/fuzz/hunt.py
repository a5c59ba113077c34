"""The search of one target, in a process of its own."""

import random
import time
from collections.abc import Callable
from functools import partial

from benchmarks.fuzz import corpus
from benchmarks.fuzz.apart import INPUT_S_MAX, Begin, Died, apart
from benchmarks.fuzz.catalogue import TARGETS
from benchmarks.fuzz.meter import Cost
from benchmarks.fuzz.run import Runner
from benchmarks.fuzz.search import Findings, Found, Search


def hunt(name: str, seconds: float, seed: int) -> Findings:
    """Runs a target for so long, but its seeds and what was kept of it in any case."""
    return found_by(partial(_seek, name, seconds, seed))


def found_by(seek: Callable[[Begin], Findings], input_s_max: float = INPUT_S_MAX) -> Findings:
    """Of one that does not come back, the input that it died of."""
    try:
        return apart(seek, input_s_max)
    except Died as died:
        cost = Cost(len(died.data), input_s_max, input_s_max, 0, died.why, died.why)
        found = Found(died.data, cost)
        worst = dict.fromkeys(("s_a_kb", "stretch_s", "bytes_a_byte"), found)
        return Findings(
            inputs=1, worst=worst, failures={f"fault: {died.why}": found}, failures_count=1
        )


def _seek(name: str, seconds: float, seed: int, begin: Begin) -> Findings:
    target = TARGETS[name]
    with Runner(target, begin) as runner:
        search = Search(runner.run, runner.confirmed, target, random.Random(f"{seed} {name}"))
        until_s = time.monotonic() + seconds
        for data in (*target.seeds(), *corpus.read(name)):
            search.take(data)
        while time.monotonic() < until_s:
            search.step()
        return search.findings
