"""Which models that a plan hardly uses could pay: found by planning for what may be true.

A joint draw of the estimates is a world that the grades so far allow, and the window's programme
says what would be planned there. A model that carries more traffic in such plans than in the one in
force is a challenger (top-two sampling, Russo 2016: challengers only). Where none does, nothing
that could be learned would change the plan, and there is nothing to try.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from optimizer.deadline import Deadline
from optimizer.lexicographic import weighed_cost
from optimizer.money_rows import buyers
from optimizer.problem import Bools, Budget, Floats, Ints, Problem, Resource
from optimizer.programme import programme
from optimizer.shares import table
from optimizer.short import held
from optimizer.solver import answers
from optimizer.vertex import Target, Vertex

# How far each world of a window is from what is expected, in parts of a joint draw: near ones find
# what is better by a little, far ones what is believed to be bad.
WORLDS = (0.6, 0.6, 0.6, 1.2, 1.2, 1.2)
# A model with more of a cell than this is graded enough by what the plan serves.
_INCUMBENT = 0.2
# Of the shares in other worlds, what a window keeps of those before it.
_KEPT = 0.8
# Less of a cell is what fading leaves.
_LEAST = 1e-3
# With so much of the traffic in other worlds' plans, as many audits probe as may; with less, less.
_MASS = 0.05
# Cells times models that are explored; of more, the cells that are asked most. A world of so many
# takes a tenth of a second, and as long as a small window is solved beside the loop.
PAIRS_MAX = 10_000
# The part of traffic that probes where a floor holds, and how much of the audits that may be.
_TRAFFIC = 0.01
_AUDITS_MAX = 0.5
# Of the audits, while a margin is missed, and while a floor is.
_TIGHT, _SHORT = 0.3, 0.8
# At least, while a model has changed: what is best without it is not known.
CHANGED = 0.5


class Standing(Enum):
    """What the best plan comes to, by what is expected."""

    HELD = "the floor and its margin"
    TIGHT = "the floor, but not its margin"
    SHORT = "less than the floor"


def part_of_audits(standing: Standing, audit_rate: float) -> float:
    """The part of a class's audits that may probe, by how much there is to gain."""
    if standing is Standing.SHORT:
        return _SHORT
    usual = min(_AUDITS_MAX, _TRAFFIC / audit_rate)
    return max(_TIGHT, usual) if standing is Standing.TIGHT else usual


@dataclass(frozen=True, slots=True)
class Exploration:
    """What the audits of a window try."""

    part: Floats  # (C,) of the audits of each cell
    shares: Floats  # (C, M) of the models that are tried; 1 in all, or 0 where nothing is

    @classmethod
    def nothing(cls, problem: Problem) -> "Exploration":
        """No audit tries anything."""
        return cls(np.zeros(problem.demand.size), np.zeros(problem.cost_nano_usd.shape))


class Worlds:
    """Shares in other worlds' plans, over windows: what one window says is mostly chance."""

    def __init__(self) -> None:
        self._shares: dict[object, dict[str, float]] = {}  # by cell and model

    def smoothed(self, cells: Sequence[object], models: Sequence[str], found: Floats) -> Floats:
        """(C, M) with what this window's worlds found; forgets all other cells."""
        before, column = np.zeros(found.shape), {model: m for m, model in enumerate(models)}
        for i, cell in enumerate(cells):
            for model, share in self._shares.get(cell, {}).items():
                if model in column:
                    before[i, column[model]] = share
        shares: Floats = _KEPT * before + (1.0 - _KEPT) * found
        shares[shares < _LEAST] = 0.0
        self._shares = {
            cells[i]: {models[m]: float(shares[i, m]) for m in np.flatnonzero(shares[i]).tolist()}
            for i in np.flatnonzero(shares.any(axis=1)).tolist()
        }
        return shares


def explored_cells(problem: Problem, may: Bools) -> Ints:
    """Of the cells that may, those with the most requests, as many as there is time for."""
    cells = np.flatnonzero(may & (problem.demand > 0))
    most = PAIRS_MAX // len(problem.models)
    return np.sort(cells[np.argsort(-problem.demand[cells], kind="stable")[:most]])


def planned_elsewhere(
    problem: Problem, shares: Floats, cells: Ints, worlds: Iterable[Floats], deadline: Deadline
) -> Floats | None:
    """(K, M) what these cells are given in other worlds' plans, on average.

    `shares` are the plan's, (C, M); each world is (K, M) accuracies. None where not even one world
    could be planned in time.
    """
    alone, plans = _of_cells(problem, shares, cells), []
    for accuracy in worlds:
        plan = _planned(replace(alone, accuracy=accuracy), deadline)
        if plan is None:
            break
        plans.append(plan)
    return np.mean(plans, axis=0) if plans else None


def challengers(elsewhere: Floats, shares: Floats) -> Floats:
    """(K, M) by how much more other worlds' plans give a model that the plan hardly uses."""
    more = np.where(shares > _INCUMBENT, 0.0, elsewhere - shares)
    return np.where(more > _LEAST, more, 0.0)


def exploration(problem: Problem, cells: Ints, found: Floats, audits: Floats) -> Exploration:
    """What is tried, of challengers' (K, M) shares; audits: (G,) the part of them that may probe.

    All cells of a group probe alike, so that what probes take of a capacity is what their worlds'
    plans had of it.
    """
    nothing = Exploration.nothing(problem)
    tried, group_of, groups = found.sum(axis=1), problem.group_of[cells], len(problem.groups)
    demand = problem.demand[cells]
    asked = np.bincount(group_of, demand, groups)
    mass = np.bincount(group_of, demand * tried, groups) / np.where(asked, asked, 1.0)
    part = audits * np.minimum(1.0, mass / _MASS)
    some = tried > 0
    nothing.part[cells[some]] = part[group_of[some]]
    nothing.shares[cells[some]] = found[some] / tried[some, None]
    return nothing


def _of_cells(problem: Problem, shares: Floats, cells: Ints) -> Problem:
    """The window of these cells alone: what the plan gives others of a capacity is taken.

    Paces are left out, for they yield to floors, and for where cost is least they change nothing.
    Where accuracy is bought they are what bounds it: there what the plan spends may not grow.
    """
    others = np.setdiff1d(np.arange(problem.demand.size), cells)
    taken = problem.demand[others, None] * shares[others]
    resources = [
        replace(
            one,
            use=one.use[cells],
            capacity=max(one.capacity - float((taken * one.use[others]).sum()), 0.0),
        )
        for one in problem.resources
    ]
    budgets = _budgets(problem, shares, cells) if buyers(problem) else []
    return replace(
        held(problem),
        group_of=problem.group_of[cells],
        demand=problem.demand[cells],
        cost_nano_usd=problem.cost_nano_usd[cells],
        accuracy=problem.accuracy[cells],
        miss=problem.miss[cells],
        allowed=problem.allowed[cells],
        resources=[*resources, *(_limit(problem, cells, budget) for budget in budgets)],
        budgets=budgets,
        pools=problem.pool_of[cells],
        domains=problem.domain_of[cells],
    )


def _budgets(problem: Problem, shares: Floats, cells: Ints) -> list[Budget]:
    """Each with what the plan spends of it on these cells, or might within its pace."""
    cost, found = problem.demand * (shares * problem.cost_nano_usd).sum(axis=1), []
    for one in problem.budgets:
        here = float(cost[cells] @ one.cells[cells])
        left = one.pace_nano_usd - (float(cost @ one.cells) - here)
        found.append(Budget(one.name, one.cells[cells], max(left, here)))
    return found


def _limit(problem: Problem, cells: Ints, budget: Budget) -> Resource:
    """A pace that no world may exceed: beside accuracy its price would be too small."""
    use = budget.cells[:, None] * problem.cost_nano_usd[cells]
    return Resource(f"pace of {budget.name}", use, budget.pace_nano_usd)


def _planned(problem: Problem, deadline: Deadline) -> Floats | None:
    """(C, M) shares of a plan in which all bounds have a price; nobody vouches for it."""
    built = programme(problem)
    target = Target(weighed_cost(problem, built), built.upper)
    answer = next(answers(built, target, deadline))
    if not isinstance(answer, Vertex):
        return None
    shares = np.zeros(problem.cost_nano_usd.shape)
    shares[built.pairs.live] = table(problem, built, answer)
    return np.clip(shares, 0.0, 1.0)
