"""Cells without demand: what they would be sent to, should a request come."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from optimizer.prices import charged_cost
from optimizer.problem import Bools, Floats, Ints, Problem
from optimizer.shares import exact

# Costs nearer than this part of the cell's typical one are a tie that rounding decides.
_TIE = 1e-9


def at_prices(problem: Problem, prices: Mapping[str, float], shed: Floats, cells: Ints) -> Floats:
    """(K, M) shares that give a cell to its cheapest model, or to the most accurate of several."""
    usable = _usable(problem)[cells]
    cost = np.where(usable, charged_cost(problem, prices)[cells], np.inf)
    tie = _TIE * problem.cost_nano_usd[cells].mean(axis=1, keepdims=True)
    cheapest = cost <= cost.min(axis=1, keepdims=True) + tie
    best = np.where(cheapest, problem.accuracy[cells], -1.0).argmax(axis=1)
    shed_here = shed[problem.pool_of[cells]]
    return exact(np.eye(len(problem.models))[best] * (1.0 - shed_here)[:, None], shed_here)


def most_accurate(problem: Problem, cells: Ints) -> Floats:
    """(K, M) shares for groups without demand, if no time was left to weigh cost against floors."""
    accuracy = np.where(_usable(problem)[cells], problem.accuracy[cells], -1.0)
    shares: Floats = np.eye(len(problem.models))[accuracy.argmax(axis=1)]
    return shares


def nominal(problem: Problem, prices: Mapping[str, float], cells: Ints) -> Problem:
    """One request for each of these cells, whose groups have none; capacity is charged for."""
    return replace(
        problem,
        group_of=problem.group_of[cells],
        pools=problem.pool_of[cells],
        domains=problem.domain_of[cells],
        demand=np.ones(cells.size),
        cost_nano_usd=charged_cost(problem, prices)[cells],
        accuracy=problem.accuracy[cells],
        miss=problem.miss[cells],
        allowed=_usable(problem)[cells],
        resources=(),
        budgets=(),
    )


def _usable(problem: Problem) -> Bools:
    """(C, M) the allowed models that have any capacity; all allowed ones where none of them has."""
    usable = problem.allowed.copy()
    for resource in problem.resources:
        if not resource.capacity:
            usable &= resource.use == 0
    return np.where(usable.any(axis=1, keepdims=True), usable, problem.allowed)
