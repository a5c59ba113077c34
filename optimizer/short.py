"""Floors that give way while money is short: only where a pace cannot be kept beside them.

A window is planned with whole floors first. Only if a pace is exceeded then, the floors of those
who draw on it may fall, as far as their owner allows: what is short of capacity moves none.
"""

from dataclasses import replace

import numpy as np

from optimizer.constraints import live_cells
from optimizer.problem import Bools, Problem
from optimizer.solution import Solution


def held(problem: Problem) -> Problem:
    """The window with whole floors."""
    return _eased(problem, np.zeros(len(problem.groups), dtype=bool))


def eased(problem: Problem, plan: Solution) -> Problem | None:
    """The window in which the floors of those may fall whose money is short by its plan.

    None where that is nobody who may.
    """
    short = {breach.name for breach in plan.breaches if breach.kind == "pace"}
    if not short:
        return None
    live = np.zeros(problem.demand.size, dtype=bool)
    live[live_cells(problem)] = True
    groups = np.zeros(len(problem.groups), dtype=bool)
    for budget in problem.budgets:
        if budget.name in short:
            groups[problem.group_of[budget.cells & live]] = True
    groups &= [group.floor_when_short is not None for group in problem.groups]
    return _eased(problem, groups) if groups.any() else None


def _eased(problem: Problem, groups: Bools) -> Problem:
    whole = [
        group if may else replace(group, floor_when_short=None)
        for group, may in zip(problem.groups, groups.tolist(), strict=True)
    ]
    return replace(problem, groups=tuple(whole))
