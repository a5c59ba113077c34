"""Every entry, with inputs that were kept and a few that are new.

Costs are not looked at here, for they are times: that is what `make fuzz` is for.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.fuzz import corpus
from benchmarks.fuzz.catalogue import TARGETS
from benchmarks.fuzz.meter import Cost
from benchmarks.fuzz.run import Runner
from benchmarks.fuzz.search import Search
from benchmarks.fuzz.targets import Target

STEPS = 40
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured by Linux"
)

ENDS = json.loads(corpus.ENDS.read_text())
targets = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


def without_noise(run: Callable[[bytes], Cost]) -> Callable[[bytes], Cost]:
    """How an input ends, as if all cost the same: then the dice alone say what follows."""
    return lambda data: run(data)._replace(total_s=0.0, stretch_s=0.0, peak_bytes=0)


def reaches_inside(search: Search) -> bool:
    """One seed at least is not refused at the door: it would leave the rest of the house unseen."""
    ends = search.findings.population.shortest
    return any(not end.startswith(("INVALID", "INTERNAL", "fault", "refused")) for end in ends)


@targets
def test_new_inputs_end_in_declared_ways(target: Target) -> None:
    with Runner(target) as runner:
        search = Search(
            without_noise(runner.run), lambda _data, cost: cost, target, random.Random(1)
        )
        for data in target.seeds():
            search.take(data)
        assert reaches_inside(search)
        for _ in range(STEPS):
            search.step()
    assert search.findings.failures == {}
    assert search.findings.inputs > STEPS


@targets
def test_kept_inputs_end_as_they_did(target: Target) -> None:
    """Each leaves no connection, stream or task behind, or it would have failed."""
    with Runner(target) as runner:
        ended = {
            corpus.file_name(data): (corpus.kind_of_end(cost.outcome), cost.fault)
            for data in corpus.read(target.name)
            for cost in (runner.run(data),)
        }
    assert ended == {name: (end, "") for name, end in ENDS[target.name].items()}
