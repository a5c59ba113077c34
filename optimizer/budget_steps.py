"""What a dollar more or less a day would change, of a budget that is not enough."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from math import floor, log10
from typing import NamedTuple

import numpy as np

from optimizer.problem import Problem, Resource
from optimizer.solution import Solution
from optimizer.step_price import (
    EQUAL,
    Limits,
    StepPrice,
    differ_by_money_alone,
    proven,
)
from server.money import DAY_S, NANO_PER_USD, per_day, to_usd

_STEP_USD = 1.0  # a day
# A step is at most this part of what the budget spends: a dollar is a leap for a budget of five.
_STEP_PART = 0.1


class _Day(NamedTuple):
    """How windows become days, and how long solves may take."""

    window_s: float
    limits: Limits


def budget_steps(
    problem: Problem, plan: Solution, *, window_s: float, limits: Limits
) -> Iterator[StepPrice]:
    """Prices steps of each budget by itself; `plan` solves the problem without budgets."""
    for budget in problem.budgets:
        alone = replace(problem, budgets=(budget,))
        yield from _steps(alone, plan, _Day(window_s, limits))


def _steps(problem: Problem, plan: Solution, day: _Day) -> Iterator[StepPrice]:
    (budget,) = problem.budgets
    spent = float(problem.demand * budget.cells @ (plan.shares * problem.cost_nano_usd).sum(axis=1))
    if spent <= budget.pace_nano_usd * (1 + EQUAL):
        return
    kept = proven(problem, day.limits)
    if kept is None:
        return
    usd = _step_usd(spent, day)
    for step_usd in (usd, -usd):
        pace = budget.pace_nano_usd + step_usd * NANO_PER_USD * day.window_s / DAY_S
        if pace >= 0:
            moved = replace(problem, budgets=(replace(budget, pace_nano_usd=pace),))
            yield _priced(StepPrice("budget", budget.name, step_usd), problem, moved, kept, day)


def _step_usd(spent: float, day: _Day) -> float:
    """A dollar, or the power of ten that is nearest below a tenth of what is spent in a day."""
    usd = to_usd(spent) * DAY_S / day.window_s
    return min(_STEP_USD, float(10.0 ** floor(log10(usd * _STEP_PART))))


def _priced(
    price: StepPrice, before: Problem, after: Problem, kept: Solution, day: _Day
) -> StepPrice:
    """The price: money where the pace can be kept on both sides of the step, else accuracy."""
    moved = proven(after, day.limits)
    if moved is None:
        return price
    if _is_short(kept) or _is_short(moved):
        return _in_accuracy(price, before, after, day)
    if not differ_by_money_alone(kept, moved):
        return price
    cost = per_day(moved.cost_nano_usd - kept.cost_nano_usd, day.window_s)
    return replace(price, cost_nano_usd_per_day=cost)


def _is_short(solution: Solution) -> bool:
    return any(breach.kind == "pace" for breach in solution.breaches)


def _in_accuracy(price: StepPrice, before: Problem, after: Problem, day: _Day) -> StepPrice:
    """A pace never lowers accuracy; a limit would, so both sides are solved with it as one."""
    left, right = (proven(_limited(problem), day.limits) for problem in (before, after))
    if left is None or right is None:
        return price
    if left.shed.any() or right.shed.any():
        return price
    short, then = _shortfalls(before, left), _shortfalls(after, right)
    gains = {name: short[name] - then[name] for name in short}
    most = max(gains, key=lambda name: abs(gains[name]))
    if abs(gains[most]) <= EQUAL:
        return price
    return replace(price, accuracy=gains[most], traffic_class=most)


def _limited(problem: Problem) -> Problem:
    (budget,) = problem.budgets
    use = budget.cells[:, None] * problem.cost_nano_usd
    limit = Resource(f"pace of {budget.name}", use, budget.pace_nano_usd)
    return replace(problem, budgets=(), resources=(*problem.resources, limit))


def _shortfalls(problem: Problem, solution: Solution) -> dict[str, float]:
    """How far the mean accuracy of each class stays below its floor."""
    requests = np.bincount(problem.group_of, problem.demand, len(problem.groups))
    missed: dict[str, float] = defaultdict(float)
    total: dict[str, float] = defaultdict(float)
    for g in np.flatnonzero(requests).tolist():
        group, demand = problem.groups[g], float(requests[g])
        total[group.traffic_class] += demand
        short = max((group.floor or 0.0) - float(solution.accuracy[g]), 0.0)
        missed[group.traffic_class] += demand * short
    return {name: missed[name] / total[name] for name in total}
