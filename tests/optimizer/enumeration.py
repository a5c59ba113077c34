"""Every vertex of a small window, by brute force: what the optimizer has to be as good as.

Levels are sums of max(0, .) of linear terms, so the best in their order is a corner of the
arrangement of all hyperplanes: sides of the feasible region and bounds at equality.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np

from optimizer.problem import Budget, Floats, Problem
from tests.optimizer.given_up import objective, pool_requests

_EPSILON = 1e-9
_NAMED = 1e-8  # money beyond a pace that is named


def best(problem: Problem) -> Floats:
    """The least objective in lexicographic order over all corners."""
    return objective(problem, *_best(problem))


def _best(problem: Problem) -> tuple[Floats, Floats]:
    corners = _feasible(problem, _corners(*_planes(problem), *_equalities(problem)))
    splits = [_split(problem, corner) for corner in corners]
    return min(splits, key=lambda split: np.round(objective(problem, *split), 7).tolist())


def asked_of(problem: Problem) -> Problem:
    """The window with the floors that may fall: of those whose one budget cannot be kept else."""
    whole = _with_floors(problem, frozenset())
    shares, _ = _best(whole)
    (budget,) = problem.budgets or (None,)
    if budget is None or _excess(whole, budget, shares) <= _NAMED:
        return whole
    drawn = problem.group_of[budget.cells & (problem.demand > 0)].tolist()
    return _with_floors(problem, frozenset(drawn))


def _with_floors(problem: Problem, may_fall: frozenset[int]) -> Problem:
    groups = [
        group if g in may_fall else replace(group, floor_when_short=None)
        for g, group in enumerate(problem.groups)
    ]
    return replace(problem, groups=tuple(groups))


def _excess(problem: Problem, budget: Budget, shares: Floats) -> float:
    cost = problem.demand * (shares * problem.cost_nano_usd).sum(axis=1)
    money = float((problem.demand[:, None] * problem.cost_nano_usd).max(axis=1).sum()) or 1.0
    return (float(cost @ budget.cells) - budget.pace_nano_usd) / money


def _split(problem: Problem, corner: Floats) -> tuple[Floats, Floats]:
    pairs = problem.allowed.size
    return corner[:pairs].reshape(problem.allowed.shape), corner[pairs:]


def _equalities(problem: Problem) -> tuple[Floats, Floats]:
    """Seats; pairs that are not allowed; pools without demand shed nothing."""
    cells, models = problem.allowed.shape
    width = problem.allowed.size + problem.pool_count
    seats = np.zeros((cells, width))
    for cell in range(cells):
        seats[cell, cell * models : (cell + 1) * models] = 1.0
        seats[cell, problem.allowed.size + problem.pool_of[cell]] = 1.0
    masked = np.flatnonzero(~problem.allowed.ravel())
    silent = problem.allowed.size + np.flatnonzero(pool_requests(problem) == 0)
    zero = np.eye(width)[np.concatenate([masked, silent])]
    return np.vstack([seats, zero]), np.append(np.ones(cells), np.zeros(len(zero)))


def _planes(problem: Problem) -> tuple[Floats, Floats]:
    width = problem.allowed.size + problem.pool_count
    free = np.append(problem.allowed.ravel(), pool_requests(problem) > 0)
    sides = np.eye(width)[np.flatnonzero(free)]
    rows = [*_bounds(problem), *_sums(problem)]
    normals = np.array([np.append(row.ravel(), np.zeros(problem.pool_count)) for row, _ in rows])
    limits = [limit for _, limit in rows]
    alike = [np.eye(width)[a] - np.eye(width)[b] for a, b in combinations(range(width), 2)]
    pools = [row for row in alike if not row[: problem.allowed.size].any()]
    planes = np.vstack([sides, normals.reshape(-1, width), np.reshape(pools, (-1, width))])
    return planes, np.concatenate([np.zeros(len(sides)), limits, np.zeros(len(pools))])


def _bounds(problem: Problem) -> list[tuple[Floats, float]]:
    rows = []
    for g, group in enumerate(problem.groups):
        demand = np.where(problem.group_of == g, problem.demand, 0.0)[:, None]
        floors = {floor for floor in (group.floor, group.kept_floor) if floor is not None}
        rows += [(demand * (floor - problem.accuracy), 0.0) for floor in floors]
        if group.domain_floor is not None:
            for domain in range(len(problem.domain_names)):
                here = np.where(problem.domain_of == domain, 1.0, 0.0)[:, None]
                rows.append((here * demand * (group.domain_floor - problem.accuracy), 0.0))
        if group.miss_max is not None:
            rows.append((demand * (problem.miss - group.miss_max), 0.0))
        for pin in (pin for pin in problem.pins if pin.group == g):
            here = np.arange(len(problem.models)) == pin.model
            rows += [(demand * (b - here), 0.0) for b in (pin.share_min, pin.share_max)]
    return rows


def _sums(problem: Problem) -> list[tuple[Floats, float]]:
    demand = problem.demand[:, None]
    paces = [
        (demand * b.cells[:, None] * problem.cost_nano_usd, b.pace_nano_usd)
        for b in problem.budgets
    ]
    return [(demand * r.use, r.capacity) for r in problem.resources] + paces


def _corners(normals: Floats, limits: Floats, equal: Floats, ones: Floats) -> Floats:
    width = equal.shape[1]
    free = width - np.linalg.matrix_rank(equal)
    chosen = np.array(list(combinations(range(len(normals)), int(free))), dtype=np.int64)
    systems = np.concatenate(
        [np.broadcast_to(equal, (len(chosen), *equal.shape)), normals[chosen]], axis=1
    )
    sides = np.concatenate(
        [np.broadcast_to(ones, (len(chosen), ones.size)), limits[chosen]], axis=1
    )
    regular = np.abs(np.linalg.det(systems)) > _EPSILON
    return np.linalg.solve(systems[regular], sides[regular][..., None])[..., 0]


def _feasible(problem: Problem, corners: Floats) -> Floats:
    inside = (corners >= -_EPSILON).all(axis=1)
    for resource in problem.resources:
        use = (problem.demand[:, None] * resource.use).ravel()
        inside &= corners[:, : use.size] @ use <= resource.capacity + 1e-7
    return corners[inside]
