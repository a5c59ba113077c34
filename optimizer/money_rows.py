"""Rows of accuracy beside the mean floors: of each domain, and those by which money moves the mix.

A floor of every domain keeps a mean from being held at the expense of one of them. A mean floor may
give way to a pace, down to what its owner allows; and groups may seek the most accuracy that their
paces buy: what they lack of answers that are all right is the last thing that is made least.
`lexicographic` says in which order they are given up.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np

from optimizer.constraints import Constraint, Pairs
from optimizer.problem import Bools, Floats, Ints, Problem, group_labels


class MoneyRow(NamedTuple):
    """The mean accuracy of what these cells are served is at least a bound."""

    kind: Literal["domain", "short", "aim"]
    name: str
    cells: Ints
    bound: float
    group: int | None = None  # None: of several


def money_rows(problem: Problem) -> Iterator[MoneyRow]:
    """Of all cells, whether or not anything is asked of them."""
    labels = group_labels(problem.groups)
    for g, group in enumerate(problem.groups):
        if group.domain_floor is not None:
            yield from _domain_rows(problem, g, group.domain_floor)
        if group.floor is not None and group.floor_when_short is not None:
            cells = np.flatnonzero(problem.group_of == g)
            yield MoneyRow("short", labels[g], cells, group.floor, g)
    for groups in buyers(problem):
        cells = np.flatnonzero(np.isin(problem.group_of, groups))
        yield MoneyRow("aim", labels[groups[0]], cells, 1.0)


def money_constraints(problem: Problem, pairs: Pairs) -> Iterator[Constraint]:
    """Each counts by its own requests, however few they are beside others."""
    for row in money_rows(problem):
        pair = _pairs_of(pairs, row.cells)
        requests = float(problem.demand[row.cells].sum())
        if pair.size and requests:
            cell, model = pairs.cell[pair], pairs.model[pair]
            short = problem.demand[cell] / requests * (row.bound - problem.accuracy[cell, model])
            yield Constraint(row.kind, row.name, pair, short, unit=requests, group=row.group)


def money_charges(problem: Problem, prices: Mapping[str, float]) -> Floats:
    """(C, M) nano-dollars that these rows charge a request."""
    charged = np.zeros(problem.cost_nano_usd.shape)
    for row in money_rows(problem):
        price = prices.get(f"{row.kind}:{row.name}", 0.0)
        if price:
            charged[row.cells] += price * (row.bound - problem.accuracy[row.cells])
    return charged


def buyers(problem: Problem) -> list[Ints]:
    """Groups that seek the most accuracy, those together that a budget ties to each other.

    Each of these sets has a row of its own, or a small team would be lost beside a large one. Of
    those without a budget none is here: without a pace nothing would bound what they spend.
    """
    wants = np.array([group.best_within_budget for group in problem.groups], dtype=bool)
    found: list[Bools] = []
    for budget in problem.budgets if wants.any() else ():
        tied = np.zeros(wants.size, dtype=bool)
        tied[problem.group_of[budget.cells]] = True
        tied &= wants
        others = [one for one in found if not (one & tied).any()]
        joined = [one for one in found if (one & tied).any()]
        found = [*others, np.logical_or.reduce([tied, *joined])] if tied.any() else found
    return sorted((np.flatnonzero(one) for one in found), key=lambda groups: int(groups[0]))


def domain_label(problem: Problem, group: int, domain: int) -> str:
    """What one domain of a group is called: "code: law"."""
    return f"{group_labels(problem.groups)[group]}: {problem.domain_names[domain]}"


def _domain_rows(problem: Problem, group: int, bound: float) -> Iterator[MoneyRow]:
    cells = np.flatnonzero(problem.group_of == group)
    domain_of = problem.domain_of[cells]
    for domain in np.unique(domain_of).tolist():
        name = domain_label(problem, group, domain)
        yield MoneyRow("domain", name, cells[domain_of == domain], bound, group)


def _pairs_of(pairs: Pairs, cells: Ints) -> Ints:
    """The pairs of these cells: they stand cell by cell, in the order of the cells."""
    first, after = (np.searchsorted(pairs.cell, cells, side) for side in ("left", "right"))
    counts = after - first
    places = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    found: Ints = np.repeat(first, counts) + places
    return found
