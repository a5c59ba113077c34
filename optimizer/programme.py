"""The window's programme in the form that a solver takes, scaled.

Columns, in this order: the share of every pair, the shed fraction of every pool, the slack of
every elastic row. Shed fractions and slack are natural (fractions), so they need no way back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from optimizer.problem import Floats, Ints, Problem
from optimizer.rows import Pairs, Row, rows

# A median of 1 leaves no number of a row above this: beside it the solver still sees 1e-9, and an
# error in its last digit stays below what a certificate allows.
_SPREAD = 1e4
# Rows of fractions are not scaled up beyond this part of a group, where bounds are met by rounding.
_FRACTION = 1e-4
# A scaled limit is no less than this, or what the solver overlooks (1e-9) would show beside it.
_LIMIT = 100.0


@dataclass(frozen=True, slots=True)
class Programme:
    """minimise cost @ x  subject to  rows @ x <= limits, seats @ x = 1, 0 <= x <= upper."""

    pairs: Pairs
    cost: Floats  # (V,)
    rows: sparse.csr_array  # (R, V)
    limits: Floats  # (R,)
    seats: sparse.csr_array  # (L, V) each live cell's shares and its pool's shed fraction
    upper: Floats  # (V,) fractions: all may be shed, all bounds given up
    promises: tuple[Row, ...]  # (R,) what each row says, natural
    cost_scale: float  # nano-dollars in one unit of cost
    row_scale: Floats  # (R,) natural units in one unit of a row
    slack_row: Ints  # (E,) the row that each column of slack relaxes

    @property
    def shed_start(self) -> int:
        """The column of the first pool's shed fraction."""
        return self.pairs.seat.size

    @property
    def slack_start(self) -> int:
        """The first column of slack."""
        return self.upper.size - self.slack_row.size


def programme(problem: Problem) -> Programme:
    """Builds every array with a fixed number of passes over the pairs."""
    pairs = Pairs.of(problem)
    promises = tuple(rows(problem, pairs))
    scale = np.array([_row_scale(row) for row in promises])
    slack_row = np.array([r for r, row in enumerate(promises) if row.elastic], dtype=np.int64)
    shed_start, slack_start = pairs.seat.size, pairs.seat.size + problem.pool_count
    width = slack_start + slack_row.size
    cost = problem.demand[pairs.cell] * problem.cost_nano_usd[pairs.cell, pairs.model]
    return Programme(
        pairs=pairs,
        cost=np.pad(cost / _scale(cost), (0, width - shed_start)),
        rows=_matrix(promises, scale, slack_row, width),
        limits=np.array([row.limit for row in promises]) / scale,
        seats=_seats(problem, pairs, width),
        upper=np.ones(width),
        promises=promises,
        cost_scale=_scale(cost),
        row_scale=scale,
        slack_row=slack_row,
    )


def _row_scale(row: Row) -> float:
    """A solver should labour neither for a ten-thousandth of a group nor with a small limit."""
    if row.fractions:
        return max(_scale(row.value), _FRACTION)
    return _scale(row.value, median_max=row.limit / _LIMIT or np.inf)


def _scale(values: Floats, median_max: float = np.inf) -> float:
    """The median size of what is not zero, unless the largest would stand too far above it."""
    sizes = np.abs(values[values != 0])
    if not sizes.size:
        return 1.0
    middle = sizes.size // 2
    median = float(np.partition(sizes, middle)[middle])
    return max(min(median, median_max), float(sizes.max()) / _SPREAD)


def _matrix(
    promises: Sequence[Row], scale: Floats, slack_row: Ints, width: int
) -> sparse.csr_array:
    lengths = [row.pair.size for row in promises]
    row = np.repeat(np.arange(len(promises)), lengths)
    pair = np.concatenate([np.empty(0, np.int64), *(row.pair for row in promises)])
    value = np.concatenate([np.empty(0), *(row.value for row in promises)])
    slack = width - slack_row.size + np.arange(slack_row.size)
    coordinates = np.append(row, slack_row), np.append(pair, slack)
    entries = np.append(value, -np.ones(slack_row.size)) / scale[coordinates[0]]
    return sparse.csr_array((entries, coordinates), shape=(len(promises), width))


def _seats(problem: Problem, pairs: Pairs, width: int) -> sparse.csr_array:
    live = np.arange(pairs.live.size)
    shed = pairs.seat.size + problem.pool_of[pairs.live]
    row, column = np.append(pairs.seat, live), np.append(np.arange(pairs.seat.size), shed)
    return sparse.csr_array((np.ones(row.size), (row, column)), shape=(live.size, width))
