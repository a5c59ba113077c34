"""What always using the best model would cost."""

from dataclasses import replace

import numpy as np
import pytest

from optimizer.baseline import best_model
from optimizer.problem import Group, Problem
from tests.optimizer.windows import capacity_of, plan, window


def test_the_best_model_is_the_most_accurate_over_all_demand() -> None:
    problem = window([[1, 5], [2, 6]], [[0.9, 0.6], [0.5, 0.7]], demand=[1, 9])
    best = best_model(problem)
    assert best.name == "m1"
    assert best.cost_nano_usd == 5 + 9 * 6
    assert best.accuracy == pytest.approx(0.1 * 0.6 + 0.9 * 0.7)


def test_of_two_equally_accurate_models_the_cheaper_one_is_best() -> None:
    assert best_model(window([[5, 1]], [[0.9, 0.9]])).name == "m1"


def test_a_cell_that_may_not_use_it_takes_the_next_most_accurate() -> None:
    problem = window([[1, 5, 2]] * 2, [[0.5, 0.9, 0.8]] * 2, demand=[10, 1])
    problem = replace(problem, allowed=np.array([[True, True, True], [True, False, True]]))
    best = best_model(problem)
    assert best.name == "m1"
    assert best.cost_nano_usd == 10 * 5 + 2


def test_capacity_is_left_aside() -> None:
    problem = window([[1, 5]], [[0.5, 0.9]], demand=[10])
    assert best_model(replace(problem, resources=[capacity_of(problem, 1, 1)])).cost_nano_usd == 50


def test_without_demand_it_costs_nothing_and_still_has_a_name() -> None:
    best = best_model(window([[1, 5]], [[0.5, 0.9]], demand=[0]))
    assert (best.name, best.cost_nano_usd, best.accuracy) == ("m1", 0, 0.9)


def test_without_a_cell_it_costs_nothing() -> None:
    some = window([[1, 5]], [[0.5, 0.9]])
    none = Problem(
        models=some.models,
        groups=some.groups,
        group_of=some.group_of[:0],
        demand=some.demand[:0],
        cost_nano_usd=some.cost_nano_usd[:0],
        accuracy=some.accuracy[:0],
        miss=some.miss[:0],
        allowed=some.allowed[:0],
    )
    assert best_model(none).cost_nano_usd == 0


def test_a_mix_that_holds_the_floor_is_never_dearer_than_the_best_model_that_does() -> None:
    problem = window([[1, 5], [2, 6]], [[0.5, 0.9], [0.6, 0.9]], Group("code", "-", floor=0.8))
    assert plan(problem).cost_nano_usd <= best_model(problem).cost_nano_usd
