"""Requests a second of every cell."""

import numpy as np
import pytest

from optimizer.estimate.accuracy import Cell
from optimizer.estimate.demand import CELLS_MAX, DemandEstimate

CELL, OTHER = ("code", "-", "maths", "s"), ("code", "-", "law", "s")
WINDOW_S = 5.0


def test_the_first_window_is_believed() -> None:
    demand = DemandEstimate()
    demand.observe_requests({CELL: 20}, WINDOW_S)
    assert demand.per_s() == {CELL: pytest.approx(4)}


def test_a_steady_rate_is_found_whatever_the_length_of_windows() -> None:
    demand = DemandEstimate()
    for window_s in (5.0, 1.0, 7.0, 0.5) * 10:
        demand.observe_requests({CELL: 3 * window_s}, window_s)
    assert demand.per_s()[CELL] == pytest.approx(3)


def test_a_payer_that_is_renamed_keeps_its_rate_and_what_is_known_of_its_level() -> None:
    demand, renamed = DemandEstimate(), DemandEstimate()
    for found in (demand, renamed):
        for count in (300,) * 50 + (30,) * 2:
            found.observe_requests({CELL: count, OTHER: 2}, WINDOW_S)
    renamed.rename({("code", "-"): ("code", "team")})
    assert renamed.per_s() == pytest.approx(
        {("code", "team", *cell[2:]): rate for cell, rate in demand.per_s().items()}
    )
    assert renamed.per_s()["code", "team", "maths", "s"] < 20  # not the 60 of long ago


def test_after_a_half_life_a_change_that_may_be_chance_is_half_believed() -> None:
    demand = DemandEstimate(half_life_s=30)
    for _ in range(100):
        demand.observe_requests({CELL: 1 * WINDOW_S}, WINDOW_S)
    for _ in range(6):
        demand.observe_requests({CELL: 2 * WINDOW_S}, WINDOW_S)
    assert demand.per_s()[CELL] == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize("factor", [0.0, 0.04, 0.5, 3.0, 25.0])
def test_a_change_that_is_no_chance_is_believed_within_three_windows(factor: float) -> None:
    demand = DemandEstimate()
    for _ in range(100):
        demand.observe_requests({CELL: 300, OTHER: 100}, WINDOW_S)
    for _ in range(3):
        demand.observe_requests({CELL: 300 * factor, OTHER: 100 * factor}, WINDOW_S)
    found = demand.per_s()
    assert found[CELL] == pytest.approx(60 * factor, rel=0.1, abs=2)
    assert found[OTHER] == pytest.approx(20 * factor, rel=0.1, abs=1)


def test_of_a_change_each_cell_has_its_part_however_rare_it_is() -> None:
    demand = DemandEstimate()
    rare: list[Cell] = [("code", "-", f"d{n}", "s") for n in range(10)]
    for window in range(100):
        demand.observe_requests({rare[window % 10]: 1, CELL: 99}, WINDOW_S)
    before = demand.per_s()
    for _ in range(3):
        demand.observe_requests({CELL: 500}, WINDOW_S)
    after = demand.per_s()
    assert sum(after.values()) == pytest.approx(100, rel=0.1)
    for cell in rare[1:]:
        assert after[cell] / after[rare[0]] == pytest.approx(before[cell] / before[rare[0]])
    assert after[rare[0]] > 1.5 * before[rare[0]]


def test_one_class_that_changes_does_not_change_another() -> None:
    demand, quiet = DemandEstimate(), ("chat", "-", "maths", "s")
    for _ in range(100):
        demand.observe_requests({CELL: 100, quiet: 100}, WINDOW_S)
    for _ in range(3):
        demand.observe_requests({CELL: 1_000, quiet: 100}, WINDOW_S)
    assert demand.per_s()[quiet] == pytest.approx(20, rel=1e-6)


def test_a_steady_load_that_comes_at_random_is_not_taken_for_a_change() -> None:
    random, demand = np.random.default_rng(5), DemandEstimate()
    for count in random.poisson(200, 2_000).tolist():
        demand.observe_requests({CELL: count}, WINDOW_S)
        assert demand.per_s()[CELL] * WINDOW_S == pytest.approx(200, rel=0.1)


@pytest.mark.parametrize("per_window", [0.04, 0.4, 4.0])
def test_a_rare_cell_is_neither_over_nor_underestimated(per_window: float) -> None:
    random, demand, seen = np.random.default_rng(4), DemandEstimate(), []
    for count in random.poisson(per_window, 8_000).tolist():
        demand.observe_requests({CELL: count} if count else {}, WINDOW_S)
        seen.append(demand.per_s().get(CELL, 0.0))
    # Autocorrelated over about 18 windows: the standard error of the mean is a twentieth at most.
    assert np.mean(seen) * WINDOW_S == pytest.approx(per_window, rel=0.15)


def test_a_cell_that_appears_late_was_silent_before() -> None:
    demand = DemandEstimate(half_life_s=1e9)
    for _ in range(9):
        demand.observe_requests({CELL: 10}, WINDOW_S)
    demand.observe_requests({CELL: 10, OTHER: 10}, WINDOW_S)
    assert demand.per_s()[OTHER] == pytest.approx(2 / 10)


def test_a_cell_that_is_silent_for_long_is_forgotten() -> None:
    demand = DemandEstimate(half_life_s=WINDOW_S)
    demand.observe_requests({CELL: 1}, WINDOW_S)
    for _ in range(19):
        demand.observe_requests({}, WINDOW_S)
    assert CELL in demand.per_s()
    demand.observe_requests({}, WINDOW_S)
    assert demand.per_s() == {}


def test_of_too_many_cells_the_rarest_are_forgotten() -> None:
    demand = DemandEstimate()
    cells: list[Cell] = [("code", "-", str(n), "s") for n in range(CELLS_MAX + 1)]
    demand.observe_requests({cell: 1 + n for n, cell in enumerate(cells)}, WINDOW_S)
    known = demand.per_s()
    assert len(known) == CELLS_MAX
    assert cells[0] not in known


def test_time_in_which_nobody_could_be_heard_changes_no_rate() -> None:
    demand = DemandEstimate()
    for _ in range(20):
        demand.observe_requests({CELL: 1_000}, WINDOW_S)
    demand.observe_requests({}, 0.0)
    assert demand.per_s() == {CELL: pytest.approx(200)}
    demand.observe_requests({CELL: 2_000}, 2 * WINDOW_S)
    assert demand.per_s() == {CELL: pytest.approx(200)}


def test_requests_in_no_time_are_no_rate() -> None:
    demand = DemandEstimate()
    demand.observe_requests({CELL: 5}, 0.0)
    assert demand.per_s() == {}
