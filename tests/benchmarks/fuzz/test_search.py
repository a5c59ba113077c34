"""The search, on code that is made up: what it keeps, and what it finds."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from benchmarks.fuzz.loop import TurnLoop
from benchmarks.fuzz.meter import Allowance, Cost
from benchmarks.fuzz.mutate import ANY
from benchmarks.fuzz.search import OUTCOMES_MAX, Population, Search, smaller
from benchmarks.fuzz.targets import Feed, Target


@asynccontextmanager
async def nothing(_loop: TurnLoop) -> AsyncIterator[Feed]:
    """A search does not open its target: whoever runs inputs does."""
    yield NotImplemented


def target(seeds: Sequence[bytes] = (b"seed",), **allowance: float) -> Target:
    given = Allowance(**({"stretch_s": 1.0} | allowance))  # type: ignore[arg-type]  # of any field
    return Target("made up", nothing, lambda: seeds, ANY, given)


def cost(
    data: bytes, *, s: float = 0.0, peak_bytes: int = 0, outcome: str = "OK", fault: str = ""
) -> Cost:
    return Cost(len(data), s, s, peak_bytes, outcome, fault)


def same(_data: bytes, measured: Cost) -> Cost:
    return measured


def pairs(data: bytes) -> Cost:
    """Code that is slow where two bytes are alike, which coverage would not tell."""
    alike = sum(a == b for a, b in pairwise(data))
    return cost(data, s=alike * 1e-3)


def test_what_costs_more_and_more_is_found() -> None:
    search = Search(pairs, same, target(), random.Random(1))
    search.take(b"seed")
    for _ in range(200):
        search.step()
    assert search.findings.inputs == 201
    assert search.findings.worst["stretch_s"].cost.stretch_s > 1.0
    assert set(search.findings.failures) == {"stretch"}


def test_the_same_dice_do_the_same() -> None:
    found = []
    for _ in range(2):
        search = Search(pairs, same, target(), random.Random(7))
        search.take(b"seed")
        for _ in range(50):
            search.step()
        found.append(search.findings.population.inputs())
    assert found[0] == found[1]


def test_a_cost_that_does_not_come_again_is_no_failure() -> None:
    def noisy(data: bytes) -> Cost:
        return cost(data, s=9.0)

    def calm(data: bytes, _measured: Cost) -> Cost:
        return cost(data, s=0.001)

    search = Search(noisy, calm, target(), random.Random(1))
    search.take(b"seed")
    assert search.findings.failures == {}
    assert search.findings.worst["stretch_s"].cost.stretch_s == 0.001


@pytest.mark.parametrize(("calm_after", "failed"), [(4, 0), (99, 1)])
def test_a_failure_is_measured_again_before_it_is_told(calm_after: int, failed: int) -> None:
    measured: list[bytes] = []

    def busy(data: bytes, before: Cost) -> Cost:
        measured.append(data)
        return before._replace(stretch_s=0.1) if len(measured) >= calm_after else before

    search = Search(lambda data: cost(data, s=9.0), busy, target(), random.Random(1))
    search.take(b"seed")
    assert (search.findings.failures_count, len(measured)) == (failed, 4 if not failed else 5)


def test_of_a_kind_of_failure_the_worst_is_told_and_all_are_counted() -> None:
    slow = {b"a": 3.0, b"b": 5.0, b"c": 4.0}
    search = Search(lambda data: cost(data, s=slow[data]), same, target(), random.Random(1))
    for data in slow:
        search.take(data)
    assert search.findings.failures["stretch"].data == b"b"
    assert search.findings.failures_count == 3


def test_of_a_fault_the_shortest_input_is_told() -> None:
    search = Search(lambda data: cost(data, fault="KeyError"), same, target(), random.Random(1))
    for data in (b"longer", b"short", b"longest of all"):
        search.take(data)
    assert search.findings.failures["fault: KeyError"].data == b"short"


def test_each_way_to_end_keeps_its_shortest_input() -> None:
    population = Population()
    for data, outcome in ((b"aaaa", "OK"), (b"bb", "OK"), (b"ccc", "NOT_FOUND"), (b"ddd", "OK")):
        population.take(data, cost(data, outcome=outcome))
    assert {name: found.data for name, found in population.shortest.items()} == {
        "OK": b"bb",
        "NOT_FOUND": b"ccc",
    }


def test_of_one_size_the_dearest_is_kept() -> None:
    population = Population()
    for data, s in ((b"aaaa", 1.0), (b"bbbb", 3.0), (b"cccc", 2.0)):
        population.take(data, cost(data, s=s))
    assert population.dearest["total", 3].data == b"bbbb"
    assert not population.is_news(cost(b"dddd", s=3.1), b"dddd")  # which may be noise


def test_ways_to_end_are_told_apart_up_to_a_limit() -> None:
    population = Population()
    for i in range(OUTCOMES_MAX + 5):
        population.take(b"x", cost(b"x", outcome=str(i)))
    assert len(population.shortest) == OUTCOMES_MAX


@pytest.mark.parametrize(
    ("measured", "breach"),
    [
        (Cost(1_000, 9.0, 0.001, 2**20 + 7_000, "OK"), ""),
        (Cost(1_000, 0.02, 0.02, 0, "OK"), "stretch"),
        (Cost(100 * 1_024, 0.02, 0.02, 0, "OK"), ""),  # so much is read in one piece
        (Cost(1_000, 0.001, 0.001, 2**20 + 9_000, "OK"), "memory"),
        (Cost(1_000, 0.001, 0.001, 0, "OK", "KeyError"), "fault"),
    ],
)
def test_what_an_input_may_take(measured: Cost, breach: str) -> None:
    assert Allowance(stretch_s=0.01, stretch_s_a_kb=0.001).breach(measured) == breach


def test_the_least_of_two_measurements_counts() -> None:
    first, second = Cost(9, 3.0, 1.0, 50, "OK"), Cost(9, 2.0, 2.0, 70, "OK")
    assert first.least(second) == Cost(9, 2.0, 1.0, 50, "OK")


def test_a_failing_input_is_made_shorter_as_long_as_it_fails() -> None:
    data = b"x" * 500 + b"needle" + b"y" * 500
    assert smaller(data, lambda shorter: b"needle" in shorter, 1_000) == b"needle"


def test_making_it_shorter_ends() -> None:
    tried: list[bytes] = []

    def fails(data: bytes) -> bool:
        tried.append(data)
        return False

    assert smaller(bytes(10_000), fails, 20) == bytes(10_000)
    assert len(tried) == 20
