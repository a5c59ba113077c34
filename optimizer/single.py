"""The cheapest single model that holds all that a group is promised: what a mix has to beat."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from optimizer.mix import nominal_demand
from optimizer.problem import Bools, Floats, Ints, Problem

# Of a bound that a mean comes up to: less is rounding.
_ROUNDING = 1e-9


class Single(NamedTuple):
    """One model for all requests of a group."""

    model: int
    cost_nano_usd: float  # of the window
    accuracy: float  # expected, 0 to 1


def singles(problem: Problem, g: int, shares: Floats) -> Iterator[Single]:
    """The models that a group could be served by alone, the cheapest first.

    All that is promised holds but for the floor of the group's mean: whoever asks says how sure of
    that it wants to be. What other groups are given by `shares`, (C, M), is taken of capacities.
    """
    cells = np.flatnonzero(problem.group_of == g)
    weight = nominal_demand(problem)[cells]
    part = weight / weight.sum()
    cost = problem.demand[cells] @ problem.cost_nano_usd[cells]
    holds: Bools = np.asarray(problem.allowed[cells].all(axis=0))
    miss_max = problem.groups[g].miss_max
    if miss_max is not None:
        holds &= part @ problem.miss[cells] <= miss_max + _ROUNDING
    holds &= _holds_domains(problem, g, cells, weight) & _fits(problem, cells, shares)
    accuracy = part @ problem.accuracy[cells]
    for m in np.argsort(cost, kind="stable").tolist():
        if holds[m]:
            yield Single(m, float(cost[m]), float(accuracy[m]))


def _holds_domains(problem: Problem, g: int, cells: Ints, weight: Floats) -> Bools:
    """(M,) whether each domain's mean is up to what the group is promised of every one."""
    floor, holds = problem.groups[g].domain_floor, np.full(len(problem.models), True)
    if floor is None:
        return holds
    for domain in np.unique(problem.domain_of[cells]).tolist():
        here = problem.domain_of[cells] == domain
        asked = weight[here]
        if asked.sum():
            mean = asked @ problem.accuracy[cells[here]] / asked.sum()
            holds &= mean >= floor - _ROUNDING
    return holds


def _fits(problem: Problem, cells: Ints, shares: Floats) -> Bools:
    """(M,) whether every capacity is enough for all of these cells beside all others."""
    holds = np.full(len(problem.models), True)
    others = np.setdiff1d(np.arange(problem.demand.size), cells)
    taken = problem.demand[others, None] * shares[others]
    for one in problem.resources:
        left = one.capacity - float((taken * one.use[others]).sum())
        used = problem.demand[cells] @ one.use[cells]
        holds &= (used <= left + _ROUNDING * one.capacity) | (used == 0.0)
    return holds
