"""A plan that is not what the solver says it is does not pass."""

import time
from dataclasses import replace

import numpy as np
import pytest

from optimizer.certificate import Optimum, certified, errors
from optimizer.deadline import Deadline
from optimizer.problem import Budget, Floats, Group, Problem
from optimizer.programme import Programme, programme
from optimizer.vertex import Target, Vertex
from tests.optimizer.windows import TIME_LIMIT_S, capacity_of, window


@pytest.fixture
def problem() -> Problem:
    """A floor, an SLO, capacity and a pace, all of which bind or nearly do."""
    random = np.random.default_rng(5)
    group = Group("code", "-", floor=0.9, miss_max=0.09)
    problem = window(
        random.uniform(1, 9, (8, 4)).tolist(),
        random.uniform(0.6, 1, (8, 4)).tolist(),
        group,
        demand=random.uniform(1, 9, 8).tolist(),
        miss=random.uniform(0, 0.2, (8, 4)).tolist(),
    )
    return replace(
        problem,
        resources=[capacity_of(problem, 0, 5)],
        budgets=[Budget("team", np.ones(8, dtype=bool), 1e6)],
    )


def target(built: Programme) -> Target:
    upper = built.upper.copy()
    upper[built.shed_start :] = 0.0
    return Target(built.cost, upper)


@pytest.fixture
def optimum(problem: Problem) -> Optimum:
    built = programme(problem)
    optimum = certified(problem, built, target(built), Deadline(TIME_LIMIT_S, time.monotonic))
    assert isinstance(optimum, Optimum)
    return optimum


def judged(problem: Problem, vertex: Vertex) -> tuple[float, float]:
    built = programme(problem)
    return errors(built, target(built), vertex)


def test_an_optimum_passes(problem: Problem, optimum: Optimum) -> None:
    assert max(judged(problem, optimum.vertex)) <= 1e-9


def moved(vertex: Vertex, column: int, by: float) -> Floats:
    x = vertex.x.copy()
    x[column] += by
    return x


def test_a_cell_that_is_served_more_than_once_does_not(problem: Problem, optimum: Optimum) -> None:
    vertex = replace(optimum.vertex, x=moved(optimum.vertex, 0, 1e-6))
    assert judged(problem, vertex)[1] == pytest.approx(1e-6, rel=0.1)


def test_a_negative_share_does_not(problem: Problem, optimum: Optimum) -> None:
    # From one unused model of the cell to another: the cell is still served once.
    one, other = np.argsort(optimum.vertex.x[:4])[:2].tolist()
    x = moved(replace(optimum.vertex, x=moved(optimum.vertex, one, -1e-3)), other, 1e-3)
    assert judged(problem, replace(optimum.vertex, x=x))[1] >= 1e-3


def test_shedding_where_nothing_may_be_shed_does_not(problem: Problem, optimum: Optimum) -> None:
    x = optimum.vertex.x / 2
    x[programme(problem).shed_start] = 0.5
    assert judged(problem, replace(optimum.vertex, x=x))[1] == pytest.approx(0.5)


def test_a_floor_that_is_missed_does_not(problem: Problem, optimum: Optimum) -> None:
    built = programme(problem)
    worst = np.zeros_like(optimum.vertex.x)
    pairs = built.pairs
    table = np.where(problem.allowed, problem.accuracy, np.inf)
    chosen = table.argmin(axis=1)
    worst[: built.shed_start] = chosen[pairs.cell] == pairs.model
    assert judged(problem, replace(optimum.vertex, x=worst))[1] > 0.01


def test_a_plan_that_is_too_dear_does_not(problem: Problem, optimum: Optimum) -> None:
    eased = replace(problem, groups=(Group("code", "-", floor=0.1, miss_max=1.0),))
    assert judged(eased, optimum.vertex)[0] > 1e-3


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_prices_that_do_not_support_the_plan_do_not(
    factor: float, problem: Problem, optimum: Optimum
) -> None:
    prices = optimum.vertex.row_prices
    assert prices.any()
    wrong = replace(optimum.vertex, row_prices=prices * factor)
    assert judged(problem, wrong)[0] > 1e-3
