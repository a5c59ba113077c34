"""Keeps the mix in force where a new one would gain next to nothing.

Estimates move with every window, and an optimum may jump where they move a little: two mixes that
cost alike may share no request. A group keeps its mix as long as that costs hardly more than the
new one and holds all that the group is promised, floors and SLOs within a tolerance that is less
than what is known of them. Capacities and paces hold over all groups, so a mix that is kept is
given up with all others where one of them does not.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from optimizer.certificate import Errors
from optimizer.mix import Mix, nominal_demand
from optimizer.money_rows import money_rows
from optimizer.planned import Planned, solution_of
from optimizer.problem import Bools, Floats, Problem
from optimizer.solution import Solution

# Of a group's cost: a new mix has to gain more, or the one in force stays.
GAIN_MIN = 0.01
# Of accuracy and of misses: so much may a mix in force be short of its bound. Estimates of
# accuracy are rarely surer than a hundredth.
SHORT_MAX = 0.002
_ROUNDING = 1e-9


class Kept(NamedTuple):
    """The plan, with the groups whose mix was kept."""

    solution: Solution
    groups: Bools  # (G,)
    short: Bools  # (G,) of these: short of a bound, within what is tolerated


def keep(problem: Problem, new: Solution, before: Floats, may: Bools) -> Kept:
    """The new plan, in which groups that may keep what they had before, (C, M), do so.

    Where anything is given up nobody keeps anything: what is short is planned anew each time.
    """
    nobody = np.zeros(len(problem.groups), dtype=bool)
    if new.breaches or not may.any():
        return Kept(new, nobody, nobody)
    old = Mix.of(problem, before, np.zeros(problem.pool_count))
    groups = may & _whole(problem, before) & ~_gains(problem, new, before, old)
    groups &= _lacking(problem, before, old) <= SHORT_MAX
    groups &= _pinned(problem, old)
    shares = np.where(groups[problem.group_of][:, None], before, new.shares)
    if not groups.any() or not _fits(problem, shares):
        return Kept(new, nobody, nobody)
    errors = Errors(new.certificate.duality_gap, new.certificate.worst_violation)
    plan = Planned(shares, new.shed, new.duals, errors, new.certificate.stopped)
    # What is tolerated is no breach.
    kept = replace(solution_of(problem, plan), breaches=(), certificate=new.certificate)
    return Kept(kept, groups, groups & (_lacking(problem, before, old) > _ROUNDING))


def _whole(problem: Problem, before: Floats) -> Bools:
    """(G,) whether all cells were served whole, by models that may still serve them."""
    broken = (before > 0) & ~problem.allowed
    whole = ~broken.any(axis=1) & (np.abs(before.sum(axis=1) - 1.0) <= _ROUNDING)
    found: Bools = np.bincount(problem.group_of, ~whole, len(problem.groups)) == 0
    return found


def _gains(problem: Problem, new: Solution, before: Floats, old: Mix) -> Bools:
    """(G,) whether the new mix costs less beyond what is tolerated, or buys more accuracy."""
    weight, count = nominal_demand(problem), len(problem.groups)
    held, planned = (
        np.bincount(problem.group_of, weight * (mix * problem.cost_nano_usd).sum(axis=1), count)
        for mix in (before, new.shares)
    )
    cheaper = held > planned * (1.0 + GAIN_MIN)
    buys = np.array([group.best_within_budget for group in problem.groups])
    gains: Bools = cheaper | (buys & (new.accuracy > old.accuracy + SHORT_MAX))
    return gains


def _lacking(problem: Problem, before: Floats, old: Mix) -> Floats:
    """(G,) by how much the mix is short of what it lacks most."""
    floor = np.array([group.floor or 0.0 for group in problem.groups])
    late = np.array([1.0 if g.miss_max is None else g.miss_max for g in problem.groups])
    lacking: Floats = np.maximum(floor - old.accuracy, old.miss - late)
    weight = nominal_demand(problem)
    for row in money_rows(problem):
        if row.kind == "domain" and row.group is not None and weight[row.cells].any():
            part = weight[row.cells] / weight[row.cells].sum()
            mean = part @ (before[row.cells] * problem.accuracy[row.cells]).sum(axis=1)
            lacking[row.group] = max(lacking[row.group], row.bound - mean)
    return lacking


def _pinned(problem: Problem, old: Mix) -> Bools:
    """(G,) whether its pins hold."""
    holds = np.ones(len(problem.groups), dtype=bool)
    for pin in problem.pins:
        share = old.models[pin.group, pin.model]
        holds[pin.group] &= pin.share_min - _ROUNDING <= share <= pin.share_max + _ROUNDING
    return holds


def _fits(problem: Problem, shares: Floats) -> bool:
    """Whether capacities and paces hold."""
    requests = problem.demand[:, None] * shares
    for one in problem.resources:
        if float((requests * one.use).sum()) > one.capacity * (1.0 + _ROUNDING):
            return False
    cost = (requests * problem.cost_nano_usd).sum(axis=1)
    return all(
        float(cost @ budget.cells) <= budget.pace_nano_usd * (1.0 + _ROUNDING)
        for budget in problem.budgets
    )
