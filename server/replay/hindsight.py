"""What could have been had by whoever knew every outcome: the limits that a replay is held to."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from server.replay.recording import Bools, Floats, Ints

# A mix that was served is reachable, but for rounding.
_ROUNDING = 1e-9


class Means(NamedTuple):
    """What to expect of each of M models in each of C cells, with what part of requests is there.

    Cells without requests are left out by their weight.
    """

    weight: Floats  # (C,) adding up to 1
    accuracy: Floats  # (C, M)
    cost: Floats  # (C, M)


class Single(NamedTuple):
    """One model for all requests."""

    model: int
    accuracy: float
    cost: float


def means_by_cell(cells: Ints, table: Floats, count: int) -> Floats:
    """(C, M) means of a (Q, M) table over the queries of each cell; NaN is left out."""
    known = ~np.isnan(table)
    sums, counts = np.zeros((2, count, table.shape[1]))
    np.add.at(sums, cells, np.nan_to_num(table))
    np.add.at(counts, cells, known)
    means: Floats = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return means


def singles(means: Means, usable: Bools) -> list[Single]:
    """Every model that may be used, cheapest first."""
    accuracy, cost = means.weight @ means.accuracy, means.weight @ means.cost
    found = [Single(int(m), float(accuracy[m]), float(cost[m])) for m in np.flatnonzero(usable)]
    return sorted(found, key=lambda single: single.cost)


def best_accuracy(means: Means, usable: Bools) -> float:
    """What the best model of each cell would reach."""
    return float(means.weight @ np.where(usable, means.accuracy, 0.0).max(axis=1))


def least_cost(means: Means, usable: Bools, accuracy: float) -> float | None:
    """Of the cheapest mix by cells that reaches an accuracy; None where none does."""
    places = np.flatnonzero(usable)
    live = np.flatnonzero(means.weight > 0)
    weight, cells, width = means.weight[live], live.size, places.size
    cost = (weight[:, None] * means.cost[np.ix_(live, places)]).ravel()
    right = (weight[:, None] * means.accuracy[np.ix_(live, places)]).ravel()
    whole = sparse.kron(sparse.eye_array(cells), np.ones((1, width)), format="csr")
    scale = float(cost.max()) or 1.0
    found = linprog(  # type: ignore[call-overload]  # the stubs know no sparse rows
        cost / scale,
        A_ub=-right[None, :],
        b_ub=[_ROUNDING - accuracy],
        A_eq=whole,
        b_eq=np.ones(cells),
    )
    return float(found.fun) * scale if found.status == 0 else None


def fixed_mix(means: Means, usable: Bools, accuracy: float) -> float | None:
    """Of the cheapest mix that is alike in all cells: what a coin that knows no cell can do."""
    overall = Means(
        np.ones(1), (means.weight @ means.accuracy)[None, :], (means.weight @ means.cost)[None, :]
    )
    return least_cost(overall, usable, accuracy)
