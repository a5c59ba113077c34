"""What a plan comes to: from its shares to all that is said of it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from optimizer.breaches import breaches, relaxed
from optimizer.certificate import Errors
from optimizer.mix import Mix
from optimizer.problem import Floats, Problem
from optimizer.solution import Certificate, Solution, Stopped


class Planned(NamedTuple):
    """Shares of all cells, with what vouches for them."""

    shares: Floats  # (C, M)
    shed: Floats  # (P,)
    prices: Mapping[str, float]
    errors: Errors
    stopped: Stopped = ""


def solution_of(problem: Problem, plan: Planned) -> Solution:
    """The plan with its breaches, means and costs."""
    mix = Mix.of(problem, plan.shares, plan.shed)
    cell_cost = problem.demand * (plan.shares * problem.cost_nano_usd).sum(axis=1)
    budget_cost = np.array([float(cell_cost @ budget.cells) for budget in problem.budgets])
    group_cost = np.zeros(len(problem.groups))
    np.add.at(group_cost, problem.group_of, cell_cost)
    found = breaches(problem, plan.shares, mix, budget_cost)
    return Solution(
        shares=plan.shares,
        shed=plan.shed,
        cost_nano_usd=float(cell_cost.sum()),
        breaches=found,
        duals=plan.prices,
        certificate=Certificate(*plan.errors, relaxed(found), plan.stopped),
        accuracy=mix.accuracy,
        miss=mix.miss,
        group_shed=1.0 - mix.served,
        group_cost_nano_usd=group_cost,
        budget_cost_nano_usd=budget_cost,
    )
