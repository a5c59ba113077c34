"""The constraints of the window's programme: floors, SLOs, pins, capacities and paces.

Their numbers are natural: those of a group are fractions of its requests, those of a resource are
its units, those of a budget are fractions of all money. Each constraint keeps its unit, by which
its dual is converted back.

A cell is live if its demand counts beside the largest; the others are no columns of the programme.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from optimizer.problem import Floats, Ints, Pin, Problem, group_labels

# Below this part of the largest demand a cell changes no figure of the plan in its first 9 digits.
_LIVE = 1e-13


class Constraint(NamedTuple):
    """The sum of value times share over pairs is at most limit, plus slack where it is elastic."""

    kind: Literal["floor", "domain", "slo", "pin", "capacity", "pace", "short", "aim"]
    name: str  # of the group, its domain, the pin, the resource, the budget or those who buy
    pair: Ints  # (K,) index in the pairs
    value: Floats  # (K,)
    limit: float = 0.0
    unit: float = 1.0  # units of the original constraint in one unit of this one
    group: int | None = None

    @property
    def key(self) -> str:
        """The key that its price is found by."""
        return f"{self.kind}:{self.name}"

    @property
    def fractions(self) -> bool:
        """Whether its numbers are fractions of requests, rather than sums of uses or of money."""
        return self.kind not in ("capacity", "pace")

    @property
    def elastic(self) -> bool:
        """Whether it may give way; capacity always holds."""
        return self.kind != "capacity"


class Pairs(NamedTuple):
    """Every live cell with every model that it may use, cell by cell."""

    live: Ints  # (L,) the live cells
    seat: Ints  # (N,) index in live, ascending
    cell: Ints  # (N,)
    model: Ints  # (N,)
    group: Ints  # (N,)
    requests: Floats  # (G,) live demand of each group

    @classmethod
    def of(cls, problem: Problem) -> "Pairs":
        """Finds the pairs: none at all where nothing is demanded."""
        live = live_cells(problem)
        seat, model = np.nonzero(problem.allowed[live])
        group_of = problem.group_of[live]
        requests = np.zeros(len(problem.groups))
        np.add.at(requests, group_of, problem.demand[live])
        return cls(live, seat, live[seat], model, group_of[seat], requests)


def live_cells(problem: Problem) -> Ints:
    """The cells whose demand counts, in ascending order."""
    return np.flatnonzero(problem.demand > _LIVE * problem.demand.max(initial=0.0))


def money_scale(problem: Problem) -> float:
    """What the window would cost with the dearest model everywhere; 1 where all is free."""
    dearest = float(problem.demand @ problem.cost_nano_usd.max(axis=1, initial=0.0))
    return dearest or 1.0


def constraints_of(problem: Problem, pairs: Pairs) -> list[Constraint]:
    """All constraints: floors and SLOs by group, then pins, then resources, then paces."""
    return [
        *_group_constraints(problem, pairs),
        *_pin_constraints(problem, pairs),
        *_resource_constraints(problem, pairs),
        *_pace_constraints(problem, pairs),
    ]


def _group_constraints(problem: Problem, pairs: Pairs) -> Iterator[Constraint]:
    """Bounds are on means over what is served, so each pair counts by its excess over the bound."""
    accuracy = problem.accuracy[pairs.cell, pairs.model]
    miss = problem.miss[pairs.cell, pairs.model]
    labels = group_labels(problem.groups)
    for index in np.flatnonzero(pairs.requests).tolist():
        group, requests = problem.groups[index], float(pairs.requests[index])
        pair = np.flatnonzero(pairs.group == index)
        weight = problem.demand[pairs.cell[pair]] / requests
        if group.kept_floor is not None:
            short = weight * (group.kept_floor - accuracy[pair])
            yield Constraint("floor", labels[index], pair, short, unit=requests, group=index)
        if group.miss_max is not None:
            late = weight * (miss[pair] - group.miss_max)
            yield Constraint("slo", labels[index], pair, late, unit=requests, group=index)


def _pin_constraints(problem: Problem, pairs: Pairs) -> Iterator[Constraint]:
    for pin in problem.pins:
        requests = float(pairs.requests[pin.group])
        if not requests:
            continue
        pair = np.flatnonzero(pairs.group == pin.group)
        weight = problem.demand[pairs.cell[pair]] / requests
        here = pairs.model[pair] == pin.model
        least, most = pin_names(problem, pin)
        if pin.share_min > 0:
            value = weight * (pin.share_min - here)
            yield Constraint("pin", least, pair, value, unit=requests, group=pin.group)
        if pin.share_max < 1:
            value = weight * (here - pin.share_max)
            yield Constraint("pin", most, pair, value, unit=requests, group=pin.group)


def pin_names(problem: Problem, pin: Pin) -> tuple[str, str]:
    """The names of its two bounds: "code: forest at least" and "code: forest at most"."""
    stem = f"{group_labels(problem.groups)[pin.group]}: {problem.models[pin.model]} at"
    return f"{stem} least", f"{stem} most"


def _resource_constraints(problem: Problem, pairs: Pairs) -> Iterator[Constraint]:
    demand = problem.demand[pairs.cell]
    for resource in problem.resources:
        use = resource.use[pairs.cell, pairs.model]
        pair = np.flatnonzero(use)
        value = demand[pair] * use[pair]
        yield Constraint("capacity", resource.name, pair, value, limit=resource.capacity)


def _pace_constraints(problem: Problem, pairs: Pairs) -> Iterator[Constraint]:
    unit = money_scale(problem)
    cost = problem.demand[pairs.cell] * problem.cost_nano_usd[pairs.cell, pairs.model] / unit
    for budget in problem.budgets:
        pair = np.flatnonzero(budget.cells[pairs.cell] & (cost > 0))
        pace = budget.pace_nano_usd / unit
        yield Constraint("pace", budget.name, pair, cost[pair], limit=pace, unit=unit)
