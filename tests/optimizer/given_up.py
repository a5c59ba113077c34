"""What a plan gives up, level by level, reckoned without the optimizer's own code."""

import numpy as np

from optimizer.problem import Floats, Problem, group_labels
from optimizer.solution import Solution


def requests(problem: Problem) -> Floats:
    """(G,)."""
    return np.array(
        [problem.demand[problem.group_of == g].sum() for g in range(len(problem.groups))]
    )


def pool_requests(problem: Problem) -> Floats:
    """(P,)."""
    return np.array([problem.demand[problem.pool_of == p].sum() for p in range(problem.pool_count)])


def objective(problem: Problem, shares: Floats, shed: Floats) -> Floats:
    """Of the highest priority first: shed, pins, SLOs and floors; then pace; then cost."""
    levels: dict[tuple[float, int], float] = {}
    for place, value in _breaches(problem, shares, shed):
        levels[place] = levels.get(place, 0.0) + max(value, 0.0)
    money = float((problem.demand[:, None] * problem.cost_nano_usd).max(axis=1).sum()) or 1.0
    cost = problem.demand * (shares * problem.cost_nano_usd).sum(axis=1)
    excess = [float(cost @ b.cells) - b.pace_nano_usd for b in problem.budgets]
    ordered = [levels[place] for place in sorted(levels)]
    return np.array([*ordered, sum(max(e, 0.0) for e in excess) / money, cost.sum() / money])


def _breaches(
    problem: Problem, shares: Floats, shed: Floats
) -> list[tuple[tuple[float, int], float]]:
    found: list[tuple[tuple[float, int], float]] = []
    for g, total in enumerate(requests(problem)):
        if not total:
            continue
        group, cells = problem.groups[g], problem.group_of == g
        weight = problem.demand[cells, None] / total * shares[cells]
        pools = np.unique(problem.pool_of[cells & (problem.demand > 0)])
        found += [((-group.priority, 0), float(shed[pool])) for pool in pools]
        if group.floor is not None:
            short = float((weight * (group.floor - problem.accuracy[cells])).sum())
            found.append(((-group.priority, 3 - group.floor_before_slo), short))
        if group.miss_max is not None:
            late = float((weight * (problem.miss[cells] - group.miss_max)).sum())
            found.append(((-group.priority, 2 + group.floor_before_slo), late))
        for pin in (pin for pin in problem.pins if pin.group == g):
            here, served = float(weight[:, pin.model].sum()), float(weight.sum())
            found.append(((-group.priority, 1), pin.share_min * served - here))
            found.append(((-group.priority, 1), here - pin.share_max * served))
    return found


def excesses(problem: Problem, solution: Solution) -> dict[tuple[str, str], float]:
    """By how much each bound is broken: of all a group's requests, or of all money."""
    labels = group_labels(problem.groups)
    found: dict[tuple[str, str], float] = {}
    for g in sorted(set(problem.group_of.tolist())):
        group, cells = problem.groups[g], problem.group_of == g
        demand = problem.demand[cells] if problem.demand[cells].any() else np.ones(cells.sum())
        weight = demand[:, None] / demand.sum() * solution.shares[cells]
        of_cells = solution.shed[problem.pool_of[cells]]
        found["capacity", labels[g]] = float(demand @ of_cells / demand.sum())
        if group.floor is not None:
            short = weight * (group.floor - problem.accuracy[cells])
            found["floor", labels[g]] = float(short.sum())
        if group.miss_max is not None:
            late = weight * (problem.miss[cells] - group.miss_max)
            found["slo", labels[g]] = float(late.sum())
        for pin in (pin for pin in problem.pins if pin.group == g):
            name, share = f"{labels[g]}: {problem.models[pin.model]}", weight[:, pin.model].sum()
            found["pin", f"{name} at least"] = pin.share_min * weight.sum() - share
            found["pin", f"{name} at most"] = share - pin.share_max * weight.sum()
    cost = problem.demand * (solution.shares * problem.cost_nano_usd).sum(axis=1)
    money = float((problem.demand[:, None] * problem.cost_nano_usd).max(axis=1).sum()) or 1.0
    for budget in problem.budgets:
        found["pace", budget.name] = (cost @ budget.cells - budget.pace_nano_usd) / money
    return found


def given_up(problem: Problem, solution: Solution) -> Floats:
    return objective(problem, solution.shares, solution.shed)


def no_worse(left: Floats, right: Floats, tolerance: float = 1e-6) -> bool:
    """left is not lexicographically above right; differences within tolerance are none."""
    apart = np.flatnonzero(np.abs(left - right) > tolerance)
    return not apart.size or bool(left[apart[0]] < right[apart[0]])
