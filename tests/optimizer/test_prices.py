"""Prices are what makes the plan the cheapest choice of every cell."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from optimizer.prices import charged_cost
from optimizer.problem import Budget, Group, Problem
from tests.optimizer.windows import plan, problems, window

anything = problems(cells_max=6, models_max=4, groups_max=3, pinned=True)


@settings(max_examples=50)
@given(anything)
def test_with_all_charges_no_model_is_cheaper_than_those_that_a_cell_is_sent_to(
    problem: Problem,
) -> None:
    solution = plan(problem)
    charged = np.where(problem.allowed, charged_cost(problem, solution.duals), np.inf)
    used = (solution.shares > 1e-6) & (problem.demand > 0)[:, None]
    beyond = np.where(used, charged - charged.min(axis=1, keepdims=True), 0.0)
    assert beyond.max() <= 1e-6 * (1 + max(solution.duals.values(), default=0.0))


@settings(max_examples=50)
@given(anything)
def test_no_price_is_negative_and_slack_bounds_cost_nothing(problem: Problem) -> None:
    solution = plan(problem)
    assert all(price >= 0 for price in solution.duals.values())
    for resource in problem.resources:
        used = (problem.demand[:, None] * solution.shares * resource.use).sum()
        if used < resource.capacity * 0.999:
            assert solution.duals.get(f"capacity:{resource.name}", 0.0) < 1e-6


def test_a_pace_charges_only_those_who_draw_on_the_budget() -> None:
    problem = window([[1, 5], [1, 9]], [[0, 1], [0, 1]], Group("code", "-", floor=0.5))
    problem = replace(problem, budgets=[Budget("team", np.array([True, False]), 3)])
    prices = plan(problem).duals
    # An answer more that is right costs 8 where it is not the team's, so a dollar of the team's
    # that buys a quarter of one is worth a dollar beside itself.
    assert prices["pace:team"] == pytest.approx(1)
    assert charged_cost(problem, prices) == pytest.approx(np.array([[6, 6], [5, 5]]))
