"""What a stated step of one constraint would change, found by solving again.

A marginal price is right only until the mix of models changes, so each price is the difference of
two plans. Paces are left out of both, for they would move the mix too; only the steps of a budget
look at its pace. An SLO moves by its fraction: another number of milliseconds means other chances
of missing it, which only their estimator knows.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from optimizer.budget_steps import budget_steps
from optimizer.deadline import Deadline
from optimizer.problem import Group, Problem, group_labels
from optimizer.solution import Solution
from optimizer.step_price import EQUAL, Limits, StepPrice, differ_by_money_alone, proven
from server.money import per_day

__all__ = ["StepPrice", "step_prices"]

_Kind = Literal["floor", "slo"]
_KINDS: tuple[_Kind, ...] = ("floor", "slo")
_POINT = 0.01
_CAPACITY_PART = 0.1


@dataclass(frozen=True, slots=True)
class _Step:
    kind: _Kind | Literal["capacity"]
    name: str
    step: float
    problem: Problem  # after the step
    idle: bool  # the bound is slack on both sides of the step
    relaxed: frozenset[tuple[str, str]] = frozenset()  # breaches that the step may heal


def step_prices(
    problem: Problem, deadline: Deadline, *, window_s: float, solve_s_max: float
) -> tuple[StepPrice, ...]:
    """Prices a step in both directions of each constraint that the problem has.

    A step is left out if its solve would take longer, or if the deadline passes before its turn.
    """
    limits = Limits(solve_s_max, deadline)
    free = replace(problem, budgets=())
    plan = proven(free, limits)
    if plan is None:
        return ()
    steps = [*_group_steps(free, plan), *_capacity_steps(free, plan, window_s)]
    prices = [_price(step, plan, window_s, limits) for step in steps]
    of_budgets = budget_steps(problem, plan, window_s=window_s, limits=limits)
    return (*(price for price in prices if price is not None), *of_budgets)


def _price(step: _Step, plan: Solution, window_s: float, limits: Limits) -> StepPrice | None:
    """The price; none needs a solve for a bound that is slack, for the optimum stays as it is."""
    if step.idle:
        return StepPrice(step.kind, step.name, step.step, 0)
    after = proven(step.problem, limits)
    if after is None:
        return None
    if not differ_by_money_alone(plan, after, step.relaxed):
        return StepPrice(step.kind, step.name, step.step)
    cost = per_day(after.cost_nano_usd - plan.cost_nano_usd, window_s)
    return StepPrice(step.kind, step.name, step.step, cost)


def _group_steps(problem: Problem, plan: Solution) -> Iterator[_Step]:
    """Steps of the floor and of the SLO of every class with demand."""
    labels = group_labels(problem.groups)
    for name, members in _classes(problem).items():
        for kind in _KINDS:
            for step in _sizes([problem.groups[g] for g in members], kind):
                groups = list(problem.groups)
                for g in members:
                    groups[g] = _moved(groups[g], kind, step)
                moved = replace(problem, groups=tuple(groups))
                yield _Step(
                    kind,
                    name,
                    step,
                    moved,
                    idle=_least_slack(problem, moved, plan, members, kind) > EQUAL,
                    relaxed=frozenset((kind, labels[g]) for g in members if step < 0),
                )


def _classes(problem: Problem) -> dict[str, list[int]]:
    """The groups of each class that have demand."""
    requests = np.bincount(problem.group_of, problem.demand, len(problem.groups))
    classes = defaultdict(list)
    for g in np.flatnonzero(requests).tolist():
        classes[problem.groups[g].traffic_class].append(g)
    return classes


def _sizes(groups: Sequence[Group], kind: _Kind) -> list[float]:
    """A point up and down within 0 to 1; where fewer may be missed than a point, half of those."""
    bounds = [bound for group in groups if (bound := _bound(group, kind)) is not None]
    if not bounds:
        return []
    if kind == "floor":
        return [s for s in (_POINT, -_POINT) if all(_may_move(group, s) for group in groups)]
    up = min(_POINT, min(bounds) / 2)
    return [s for s in (up, -_POINT) if s and max(bounds) - s <= 1]


def _bound(group: Group, kind: _Kind) -> float | None:
    return group.floor if kind == "floor" else group.miss_max


def _may_move(group: Group, step: float) -> bool:
    return group.floor is None or 0 <= group.floor + _floor_step(group, step) <= 1


def _floor_step(group: Group, step: float) -> float:
    return group.floor_steps[0 if step > 0 else 1]


def _moved(group: Group, kind: _Kind, step: float) -> Group:
    """The group with one bound moved; a step upwards is always stricter."""
    bound = _bound(group, kind)
    if bound is None:
        return group
    if kind == "floor":
        return replace(group, floor=bound + _floor_step(group, step))
    return replace(group, miss_max=bound - step)


def _least_slack(
    before: Problem, after: Problem, plan: Solution, members: Sequence[int], kind: _Kind
) -> float:
    """How far the plan stays from the bound on either side of the step."""
    groups = [(g, group) for g in members for group in (before.groups[g], after.groups[g])]
    if kind == "floor":
        return min(float(plan.accuracy[g]) - (group.floor or 0.0) for g, group in groups)
    bounds = [(g, 1.0 if group.miss_max is None else group.miss_max) for g, group in groups]
    return min(bound - float(plan.miss[g]) for g, bound in bounds)


def _capacity_steps(problem: Problem, plan: Solution, window_s: float) -> Iterator[_Step]:
    """A tenth of each resource that is nearly used up: a tenth of another changes nothing."""
    for index, resource in enumerate(problem.resources):
        used = float((problem.demand[:, None] * plan.shares * resource.use).sum())
        for part in (-_CAPACITY_PART, _CAPACITY_PART):
            step = resource.capacity * part
            if used >= (resource.capacity + min(step, 0.0)) * (1 - EQUAL) and step:
                resources = list(problem.resources)
                resources[index] = replace(resource, capacity=resource.capacity + step)
                moved = replace(problem, resources=resources)
                yield _Step("capacity", resource.name, step / window_s, moved, idle=False)
