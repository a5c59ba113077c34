"""Which floors are out of reach: no plan holds them even where all models are as good as may be.

By what is expected a floor may be missed because nobody has looked: no reason to give it up.
"""

from dataclasses import replace

import numpy as np

from optimizer.deadline import Deadline
from optimizer.explore import PAIRS_MAX
from optimizer.lp import solve
from optimizer.mix import nominal_demand
from optimizer.problem import Bools, Problem
from optimizer.solution import Solution
from server.control.facts import Given
from server.control.money_moved import given_up
from server.control.window import Window

# A floor that a plan misses by less is missed by rounding.
FLOOR_TOLERANCE = 1e-6


def floors_short(window: Window, solution: Solution) -> Bools:
    """(G,) whose floor, as configured, the plan misses by what is expected."""
    floors = np.array([group.floor or 0.0 for group in window.configured.groups])
    short: Bools = solution.accuracy < floors - FLOOR_TOLERANCE
    return short


def floors_out_of_reach(
    given: Given, window: Window, solution: Solution, deadline: Deadline
) -> Bools:
    """(G,) whose floor, as configured, no plan reaches by upper bounds.

    Where no grades come nothing will ever be learned, so what is expected is all there is. Of more
    than so many pairs only the models are looked at, and not what they can take.
    """
    short = floors_short(window, solution) & ~given_up(window.problem, solution)
    if not short.any() or window.belief is None:
        return short
    problem = window.configured
    graded = np.array([given.classes[g.traffic_class].grades != "none" for g in problem.groups])
    bound = window.belief.upper(problem.group_of, problem.demand)
    accuracy = np.where(graded[problem.group_of, None], bound, problem.accuracy)
    out: Bools = short & ~(graded & _reaches(replace(problem, accuracy=accuracy)))
    if (short & ~out).any() and accuracy.size <= PAIRS_MAX:
        best = solve(replace(problem, accuracy=accuracy, budgets=()), deadline)
        if isinstance(best, Solution):
            out |= short & floors_short(window, best)
    return out


def _reaches(problem: Problem) -> Bools:
    """(G,) whether the best model for each cell would, whatever it can take."""
    best = np.where(problem.allowed, problem.accuracy, 0.0).max(axis=1)
    weight, groups = nominal_demand(problem), len(problem.groups)
    asked = np.bincount(problem.group_of, weight, groups)
    mean = np.bincount(problem.group_of, weight * best, groups) / np.where(asked, asked, 1.0)
    floors = np.array([group.floor or 0.0 for group in problem.groups])
    reached: Bools = mean >= floors - FLOOR_TOLERANCE
    return reached
