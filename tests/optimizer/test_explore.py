"""Which models could pay, by planning for worlds that the grades allow."""

import time
from collections.abc import Sequence

import numpy as np
import pytest

from optimizer.deadline import Deadline
from optimizer.explore import (
    PAIRS_MAX,
    Standing,
    Worlds,
    challengers,
    exploration,
    explored_cells,
    part_of_audits,
    planned_elsewhere,
)
from optimizer.problem import Floats, Group, Problem
from tests.optimizer.windows import capacity_of, plan, window

FLOOR = Group("code", "-", floor=0.75)
# A dear model that holds the floor, and a cheap one that is believed not to.
DEAR_AND_CHEAP = [[10.0, 1.0]], [[0.8, 0.5]]


def found(problem: Problem, *worlds: Sequence[Sequence[float]]) -> Floats:
    """The challengers of one window's worlds."""
    shares, cells = plan(problem).shares, np.arange(problem.demand.size)
    accuracies, deadline = [np.array(world) for world in worlds], Deadline(10.0, time.monotonic)
    elsewhere = planned_elsewhere(problem, shares, cells, accuracies, deadline)
    assert elsewhere is not None
    return challengers(elsewhere, shares)


def test_a_model_that_would_be_planned_in_another_world_is_a_challenger() -> None:
    problem = window(*DEAR_AND_CHEAP, FLOOR)
    # The plan gives it a sixth, for the mean of both is enough.
    assert found(problem, [[0.8, 0.9]]) == pytest.approx(np.array([[0.0, 5 / 6]]))


def test_where_every_world_is_planned_alike_there_is_none() -> None:
    problem = window(*DEAR_AND_CHEAP, FLOOR)
    assert not found(problem, *[problem.accuracy.tolist()] * 3).any()
    assert not found(problem, [[0.76, 0.4]], [[0.8, 0.45]]).any()


def test_a_model_that_the_plan_uses_is_none() -> None:
    problem = window([[10.0, 1.0]], [[0.8, 0.7]], FLOOR)
    assert plan(problem).shares == pytest.approx(np.array([[0.5, 0.5]]))
    assert not found(problem, [[0.8, 0.9]]).any()


def test_worlds_in_which_no_plan_holds_the_floor_are_planned_for_the_best() -> None:
    problem = window(*DEAR_AND_CHEAP, FLOOR)
    assert found(problem, [[0.5, 0.7]]) == pytest.approx(np.array([[0.0, 5 / 6]]))


def test_what_other_cells_take_of_a_capacity_is_no_challengers() -> None:
    cost, accuracy = [[10.0, 1.0]] * 2, [[0.8, 0.6], [0.8, 0.99]]
    groups = FLOOR, Group("chat", "-")
    problem = window(cost, accuracy, *groups, group_of=[0, 1])
    problem = Problem(
        **{name: getattr(problem, name) for name in Problem.__dataclass_fields__}
        | {"resources": [capacity_of(problem, 1, 1.25)]}
    )
    shares = np.array([[1.0, 0.0], [0.0, 1.0]])
    deadline = Deadline(10.0, time.monotonic)
    world = [np.array([[0.8, 0.9]])]
    of_first = planned_elsewhere(problem, shares, np.array([0]), world, deadline)
    assert of_first == pytest.approx(np.array([[0.75, 0.25]]))


def test_without_time_for_a_single_world_nothing_is_said() -> None:
    problem, over = window(*DEAR_AND_CHEAP, FLOOR), Deadline(0.0, time.monotonic)
    world = [np.array([[0.8, 0.9]])]
    assert planned_elsewhere(problem, np.ones((1, 2)), np.array([0]), world, over) is None


@pytest.mark.parametrize(
    ("standing", "audit_rate", "part"),
    [
        (Standing.SHORT, 0.2, 0.8),
        (Standing.SHORT, 1.0, 0.8),
        (Standing.TIGHT, 0.2, 0.3),
        (Standing.TIGHT, 0.02, 0.5),
        (Standing.HELD, 0.2, 0.05),
        (Standing.HELD, 0.05, 0.2),
        (Standing.HELD, 0.01, 0.5),
    ],
)
def test_audits_probe_by_how_much_there_is_to_gain(
    standing: Standing, audit_rate: float, part: float
) -> None:
    assert part_of_audits(standing, audit_rate) == pytest.approx(part)


def test_cells_of_a_group_probe_alike_by_how_much_of_it_challengers_take() -> None:
    cost, accuracy = [[10.0, 1.0]] * 3, [[0.8, 0.6]] * 3
    problem = window(cost, accuracy, FLOOR, Group("chat", "-"), group_of=[0, 0, 1])
    tried = np.array([[0.0, 0.02], [0.0, 0.06], [0.0, 0.0]])
    made = exploration(problem, np.arange(3), tried, np.array([0.8, 0.8]))
    assert made.part == pytest.approx([0.64, 0.64, 0.0])
    assert made.shares == pytest.approx(np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 0.0]]))


def test_of_more_cells_than_there_is_time_for_the_busiest_are_explored() -> None:
    cells = PAIRS_MAX // 2 + 10
    demand = np.arange(1.0, cells + 1.0)
    shape = (cells, 2)
    problem = window(np.ones(shape).tolist(), np.ones(shape).tolist(), demand=demand.tolist())
    may = np.full(cells, True)
    may[-1] = False
    chosen = explored_cells(problem, may)
    assert chosen.tolist() == list(range(9, cells - 1))


def test_what_worlds_say_comes_and_goes_over_some_windows() -> None:
    remembered, cells, models = Worlds(), ["a", "b"], ["m0", "m1"]
    full = np.array([[0.0, 1.0], [0.0, 0.0]])
    shares = [remembered.smoothed(cells, models, full)[0, 1] for _ in range(20)]
    assert shares[0] == pytest.approx(0.2)
    assert shares[-1] > 0.98
    moved = remembered.smoothed(["b", "a"], ["m1"], np.zeros((2, 1)))
    assert moved == pytest.approx(np.array([[0.0], [0.8 * shares[-1]]]))
    left = [remembered.smoothed(["a"], ["m1"], np.zeros((1, 1)))[0, 0] for _ in range(50)]
    assert left[0] > left[-1] == 0.0
