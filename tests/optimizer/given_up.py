"""What a plan gives up, level by level, reckoned without the optimizer's own code."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from optimizer.problem import Bools, Floats, Ints, Problem, group_labels
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
    """Of the highest priority first: shed, pins, SLOs and floors; then pace; then floors that may
    give way to it, and what is lacking of accuracy that is bought; then cost.

    What is shed is the part of all requests with the largest fraction of a pool, and then with
    each that follows. To SLOs and floors what is shed of lower priorities is added.
    """
    levels: dict[tuple[float, float], float] = _shed_levels(problem, shed)
    of_answers: dict[tuple[float, float], list[float]] = {}
    for place, value, answers in _breaches(problem, shares, shed):
        levels[place] = levels.get(place, 0.0) + max(value, 0.0)
        if answers:
            of_answers.setdefault(place, []).append(answers)
    for place, answers_of in of_answers.items():
        below = _shed_below(
            problem, shed, priority=-round(place[0]), answers=float(np.mean(answers_of))
        )
        levels[place] += below
    money = float((problem.demand[:, None] * problem.cost_nano_usd).max(axis=1).sum()) or 1.0
    cost = problem.demand * (shares * problem.cost_nano_usd).sum(axis=1)
    excess = [float(cost @ b.cells) - b.pace_nano_usd for b in problem.budgets]
    levels[_PACE] = sum(max(e, 0.0) for e in excess) / money
    ordered = [levels[place] for place in sorted(levels)]
    return np.array([*ordered, cost.sum() / money])


def _priorities(problem: Problem) -> dict[int, Ints]:
    """The pools of each that are asked for anything."""
    found: dict[int, Ints] = {}
    for pool in np.flatnonzero(pool_requests(problem)).tolist():
        group = problem.groups[int(problem.group_of[problem.pool_of == pool][0])]
        found[group.priority] = np.append(found.get(group.priority, np.empty(0, int)), pool)
    return found


def _shed_levels(problem: Problem, shed: Floats) -> dict[tuple[float, float], float]:
    levels: dict[tuple[float, float], float] = {}
    for priority, pools in _priorities(problem).items():
        requests = pool_requests(problem)[pools]
        part = float(shed[pools] @ np.maximum(requests / requests.sum(), 1e-4))
        for n, fraction in enumerate(sorted(shed[pools].tolist(), reverse=True)):
            levels[-priority, n / 1e3] = part + fraction
    return levels


def _shed_below(problem: Problem, shed: Floats, *, priority: int, answers: float) -> float:
    """What lower priorities are shed, in answers of a level's groups: ten requests for one."""
    pools = [of for lower, of in _priorities(problem).items() if lower < priority]
    every = np.concatenate([np.empty(0, int), *pools])
    weights = np.clip(pool_requests(problem)[every] / (10.0 * answers), 1e-4, 1e2)
    return float(shed[every] @ weights)


# Places after those of bounds, which go by priority.
_PACE, _SHORT, _AIM = (10.0, 0.0), 11.0, (12.0, 0.0)


def shortfall(problem: Problem, shares: Floats, cells: Bools, bound: float) -> float | None:
    """By how much the mean of what is served stays below the bound, of all that these ask for."""
    asked = problem.demand[cells]
    if not asked.sum():
        return None
    weight = asked[:, None] / asked.sum() * shares[cells]
    return float((weight * (bound - problem.accuracy[cells])).sum())


def buying(problem: Problem) -> list[Bools]:
    """The cells of groups that buy accuracy, together where one budget ties them to each other."""
    wants = [g for g, group in enumerate(problem.groups) if group.best_within_budget]
    drawn = {
        g: {b.name for b in problem.budgets if b.cells[problem.group_of == g].any()} for g in wants
    }
    ties: list[set[int]] = []
    for g in (g for g in wants if drawn[g]):
        tied = [tie for tie in ties if any(drawn[g] & drawn[h] for h in tie)]
        ties = [tie for tie in ties if tie not in tied] + [{g}.union(*tied)]
    return [np.isin(problem.group_of, list(tie)) for tie in ties]


def _breaches(
    problem: Problem, shares: Floats, shed: Floats
) -> list[tuple[tuple[float, float], float, float]]:
    """Each with its place, and with how many answers it is a mean where it weighs against shed."""
    found: list[tuple[tuple[float, float], float, float]] = []
    for g, total in enumerate(requests(problem)):
        if not total:
            continue
        group, cells = problem.groups[g], problem.group_of == g
        weight = problem.demand[cells, None] / total * shares[cells]
        found += _short_of_floors(problem, shares, g)
        if group.miss_max is not None:
            late = float((weight * (problem.miss[cells] - group.miss_max)).sum())
            found.append(((-group.priority, 3), late, total))
        for pin in (pin for pin in problem.pins if pin.group == g):
            here, served = float(weight[:, pin.model].sum()), float(weight.sum())
            found.append(((-group.priority, 1), pin.share_min * served - here, 0.0))
            found.append(((-group.priority, 1), here - pin.share_max * served, 0.0))
    errors = [shortfall(problem, shares, cells, 1.0) for cells in buying(problem)]
    return [*found, *((_AIM, error, 0.0) for error in errors if error is not None)]


def _short_of_floors(
    problem: Problem, shares: Floats, g: int
) -> Iterator[tuple[tuple[float, float], float, float]]:
    group, cells = problem.groups[g], problem.group_of == g
    place = 4.0 - 2.0 * group.floor_before_slo
    bounds: list[tuple[tuple[float, float], Bools, float | None]]
    bounds = [((-group.priority, place), cells, group.kept_floor)]
    if group.floor_when_short is not None:
        bounds.append(((_SHORT, -group.priority), cells, group.floor))
    for domain in range(len(problem.domain_names)):
        of_domain = cells & (problem.domain_of == domain)
        bounds.append(((-group.priority, place - 0.5), of_domain, group.domain_floor))
    for at, of_bound, bound in bounds:
        short = None if bound is None else shortfall(problem, shares, of_bound, bound)
        if short is not None:
            yield at, short, float(problem.demand[of_bound].sum()) if at[0] != _SHORT else 0.0


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
        if group.kept_floor is not None:
            short = weight * (group.kept_floor - problem.accuracy[cells])
            found["floor", labels[g]] = float(short.sum())
        if group.floor is not None and group.floor_when_short is not None:
            short = weight * (group.floor - problem.accuracy[cells])
            found["short", labels[g]] = float(short.sum())
        if group.domain_floor is not None:
            found |= _domain_excesses(problem, solution.shares, cells, labels[g])
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


def _domain_excesses(
    problem: Problem, shares: Floats, cells: Bools, label: str
) -> dict[tuple[str, str], float]:
    nobody = not problem.demand[cells].any()
    asked = replace(problem, demand=np.ones(cells.size)) if nobody else problem
    bound = problem.groups[int(problem.group_of[cells][0])].domain_floor or 0.0
    found = {}
    for domain, name in enumerate(problem.domain_names):
        short = shortfall(asked, shares, cells & (problem.domain_of == domain), bound)
        if short is not None:
            found["domain", f"{label}: {name}"] = short
    return found


def given_up(problem: Problem, solution: Solution) -> Floats:
    return objective(problem, solution.shares, solution.shed)


def no_worse(left: Floats, right: Floats, tolerance: float = 1e-6) -> bool:
    """left is not lexicographically above right; differences within tolerance are none."""
    apart = np.flatnonzero(np.abs(left - right) > tolerance)
    return not apart.size or bool(left[apart[0]] < right[apart[0]])
