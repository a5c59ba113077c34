"""Many picks at once keep the mix that picks one by one keep, and both mixed do."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.catalog import Cell
from server.routing.selector import Basis, CellKey, ModelShares, Selector, WeightTable
from tests.server.routing.test_selector_mix import (
    DEBT_MAX,
    FAST,
    MODELS,
    SLOWLY,
    Traffic,
    plans,
    poisson,
    table_of,
)

CELLS = tuple(Cell("chat", "-", f"d{i}", "s0") for i in range(3))
TRAFFIC = [
    Traffic(0.4, windows=360, cells=14),
    Traffic(4, windows=36, cells=14),
    Traffic(400, windows=10, cells=2),
]

shares = st.lists(st.floats(0, 1), min_size=1, max_size=5).filter(lambda drawn: sum(drawn) > 1e-6)


def shares_of(shares: list[float]) -> ModelShares:
    return tuple((model, share, 1_000 + model) for model, share in enumerate(shares) if share)


def taken(selector: Selector, cell: Cell, count: int, blocked: int = 0) -> Counter[int]:
    return Counter({p.model: took for p, took in selector.pick_many(cell, blocked, count)})


def batches(chance: random.Random, requests: list[Cell]) -> list[tuple[Cell, int]]:
    """Runs of requests of one cell: some alone, some many."""
    runs: list[tuple[Cell, int]] = []
    while requests:
        batch = requests[: chance.choice((1, 1, 3, 50))]
        requests = requests[len(batch) :]
        runs.extend(Counter(batch).items())
    return runs


@pytest.mark.parametrize("changing", [SLOWLY, FAST])
@pytest.mark.parametrize("traffic", TRAFFIC, ids=lambda traffic: f"{traffic.rate}-a-window")
def test_the_mix_of_a_class_is_that_of_its_plans_when_batches_and_singles_mix(
    traffic: Traffic, changing: float
) -> None:
    chance, selector = random.Random(7), Selector()
    owed, worst = [0.0] * MODELS, 0.0
    for shares in plans(chance, traffic, changing=changing):
        selector.publish(table_of(shares))
        requests = [cell for cell in shares for _ in range(poisson(chance, traffic.rate))]
        chance.shuffle(requests)
        for cell, count in batches(chance, requests):
            picked = taken(selector, cell, count) if count > 1 else Counter[int]()
            if count == 1:
                pick = selector.pick(cell, 0)
                assert pick is not None
                picked[pick.model] += 1
            for model, share in enumerate(shares[cell]):
                owed[model] += share * count - picked[model]
            worst = max(worst, *map(abs, owed))
    assert worst < DEBT_MAX


@given(
    st.lists(shares, min_size=3, max_size=3),
    st.lists(st.tuples(st.sampled_from(CELLS), st.integers(1, 500)), min_size=1, max_size=30),
)
def test_no_batch_however_large_runs_up_more_debt_than_single_picks(
    drawn: list[list[float]], runs: list[tuple[Cell, int]]
) -> None:
    table: dict[CellKey, ModelShares] = dict(zip(CELLS, map(shares_of, drawn), strict=True))
    selector = Selector()
    selector.publish(WeightTable("p", table))
    owed = [0.0] * 5
    for cell, count in runs:
        picked = taken(selector, cell, count)
        total = sum(share for _, share, _ in table[cell])
        for model, share, _ in table[cell]:
            owed[model] += share / total * count
        for model, took in picked.items():
            owed[model] -= took
        assert sum(picked.values()) == count
    assert max(map(abs, owed)) < DEBT_MAX


@given(shares, st.integers(0, 31), st.integers(1, 500))
def test_a_batch_takes_no_model_that_is_blocked_or_has_no_share(
    given_shares: list[float], blocked: int, count: int
) -> None:
    selector = Selector()
    selector.publish(WeightTable("p", {CELLS[0]: shares_of(given_shares)}))
    picked = selector.pick_many(CELLS[0], blocked, count)
    open_models = {
        model for model, share in enumerate(given_shares) if share and not blocked >> model & 1
    }
    assert {pick.model for pick, _ in picked} <= open_models
    assert sum(took for _, took in picked) == (count if open_models else 0)
    assert all(took > 0 for _, took in picked)


@given(shares, st.lists(st.sampled_from(CELLS), max_size=20))
def test_a_batch_of_one_is_a_single_pick(given_shares: list[float], cells: list[Cell]) -> None:
    batched, single = Selector(), Selector()
    for selector in (batched, single):
        selector.publish(WeightTable("p", dict.fromkeys(CELLS, shares_of(given_shares))))
    for cell in cells:
        pick = single.pick(cell, 0)
        assert pick is not None
        assert {p.model for p, _ in batched.pick_many(cell, 0, 1)} == {pick.model}


def test_what_is_picked_says_what_a_single_pick_says() -> None:
    selector = Selector()
    selector.publish(
        WeightTable("p", {CELLS[0]: shares_of([1.0])}, {"chat": shares_of([0.5, 0.5])})
    )
    ((pick, took),) = selector.pick_many(CELLS[0], 0, 5)
    assert (pick, took) == (Selector.pick(selector, CELLS[0], 0), 5)
    first, second = selector.pick_many(CELLS[1], 0, 6)
    assert (first[0].basis, first[0].owed, first[1], second[1]) == (Basis.CLASS, True, 3, 3)
    assert selector.pick_many(Cell("other", "-", "d0", "s0"), 0, 3) == []
