"""The window's programme in the form that a solver takes, scaled.

Columns, in this order: the share of every pair, the shed fraction of every pool and the largest of
them that is looked at (no row has it: `spreading` ties it to them), the slack of every elastic row.
Shed fractions and slack are natural (fractions), so they need no way back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from optimizer.constraints import Constraint, Pairs, constraints_of
from optimizer.money_rows import money_constraints
from optimizer.problem import Floats, Ints, Problem

# Where the median of a row is 1, no number in it may be above this: the solver still sees 1e-9
# beside it, and an error in its last digit stays below what a certificate allows.
_SPREAD = 1e4
# Rows of fractions are not scaled up beyond this part of a group, where bounds are met by rounding.
_FRACTION = 1e-4
# Nor are rows of money beyond this part of all of it: a solver takes 1e20 of slack for infinite.
_MONEY = 1e-10
# A scaled limit is no less than this, or what the solver overlooks (1e-9) would show beside it.
_LIMIT = 100.0


@dataclass(frozen=True, slots=True)
class Programme:
    """minimise cost @ x  subject to  rows @ x <= limits, seats @ x = 1, 0 <= x <= upper."""

    pairs: Pairs
    cost: Floats  # (V,)
    rows: sparse.csr_array  # (R, V)
    by_column: sparse.csc_array  # (R, V) the same
    limits: Floats  # (R,)
    pool: Ints  # (L,) of each live cell
    seats: sparse.csr_array  # (L, V) each live cell's shares and its pool's shed fraction
    upper: Floats  # (V,) fractions: all may be shed, all bounds given up
    constraints: tuple[Constraint, ...]  # (R,) what each row says, natural
    cost_scale: float  # nano-dollars in one unit of cost
    row_scale: Floats  # (R,) natural units in one unit of a row
    slack_row: Ints  # (E,) the row that each column of slack relaxes

    @property
    def shed_start(self) -> int:
        """The column of the first pool's shed fraction."""
        return self.pairs.seat.size

    @property
    def largest_shed(self) -> int:
        """The column of the largest shed fraction, the last before slack."""
        return self.slack_start - 1

    @property
    def slack_start(self) -> int:
        """The first column of slack."""
        return self.upper.size - self.slack_row.size


def programme(problem: Problem) -> Programme:
    """Builds every array with a fixed number of passes over the pairs."""
    pairs = Pairs.of(problem)
    constraints = (*constraints_of(problem, pairs), *money_constraints(problem, pairs))
    scale = np.array([_scale_of(one) for one in constraints])
    slack_row = np.array([r for r, one in enumerate(constraints) if one.elastic], dtype=np.int64)
    shed_start, slack_start = pairs.seat.size, pairs.seat.size + problem.pool_count + 1
    width = slack_start + slack_row.size
    cost = problem.demand[pairs.cell] * problem.cost_nano_usd[pairs.cell, pairs.model]
    rows = _matrix(constraints, scale, slack_row, width)
    return Programme(
        pairs=pairs,
        cost=np.pad(cost / _scale(cost), (0, width - shed_start)),
        rows=rows,
        by_column=rows.tocsc(),
        limits=np.array([_limit(one) for one in constraints]) / scale,
        pool=problem.pool_of[pairs.live],
        seats=_seats(problem, pairs, width),
        upper=np.ones(width),
        constraints=constraints,
        cost_scale=_scale(cost),
        row_scale=scale,
        slack_row=slack_row,
    )


def _scale_of(one: Constraint) -> float:
    """A solver should labour neither for a ten-thousandth of a group nor with a small limit."""
    if one.fractions:
        return max(_scale(one.value), _FRACTION)
    scale = _scale(one.value, median_max=one.limit / _LIMIT or np.inf)
    return max(scale, _MONEY) if one.kind == "pace" else scale


def _limit(one: Constraint) -> float:
    """A limit beyond all that could be used is no number to show a solver: it may be 1e17."""
    return min(one.limit, 2.0 * float(one.value.sum())) if one.limit else 0.0


def _scale(values: Floats, median_max: float = np.inf) -> float:
    """The median size of what is not zero, unless the largest would stand too far above it."""
    sizes = np.abs(values[values != 0])
    if not sizes.size:
        return 1.0
    middle = sizes.size // 2
    median = float(np.partition(sizes, middle)[middle])
    return max(min(median, median_max), float(sizes.max()) / _SPREAD)


def _matrix(
    constraints: Sequence[Constraint], scale: Floats, slack_row: Ints, width: int
) -> sparse.csr_array:
    lengths = [one.pair.size for one in constraints]
    row = np.repeat(np.arange(len(constraints)), lengths)
    pair = np.concatenate([np.empty(0, np.int64), *(one.pair for one in constraints)])
    value = np.concatenate([np.empty(0), *(one.value for one in constraints)])
    slack = width - slack_row.size + np.arange(slack_row.size)
    coordinates = np.append(row, slack_row), np.append(pair, slack)
    entries = np.append(value, -np.ones(slack_row.size)) / scale[coordinates[0]]
    return sparse.csr_array((entries, coordinates), shape=(len(constraints), width))


def _seats(problem: Problem, pairs: Pairs, width: int) -> sparse.csr_array:
    live = np.arange(pairs.live.size)
    shed = pairs.seat.size + problem.pool_of[pairs.live]
    row, column = np.append(pairs.seat, live), np.append(np.arange(pairs.seat.size), shed)
    return sparse.csr_array((np.ones(row.size), (row, column)), shape=(live.size, width))
