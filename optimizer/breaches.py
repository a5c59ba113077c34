"""Every bound that a plan does not keep, with the best that was possible."""

from collections.abc import Iterator, Sequence

import numpy as np

from optimizer.constraints import live_cells, money_scale, pin_names
from optimizer.mix import Mix, nominal_demand
from optimizer.money_rows import money_rows
from optimizer.problem import Floats, Problem, group_labels
from optimizer.solution import Breach, BreachKind, Relaxed

# A fraction of the group's requests, or of all money. Where a bound is exceeded by less, it did not
# give way: the passes may take so much from each other's optima.
_NAMED = 1e-8
_SEVEREST: Sequence[tuple[BreachKind, Relaxed]] = (
    ("capacity", "served"),
    ("pin", "pin"),
    ("slo", "slo"),
    ("domain", "domain"),
    ("floor", "floor"),
    ("pace", "pace"),
    ("short", "short"),
)


def breaches(
    problem: Problem, shares: Floats, mix: Mix, budget_cost_nano_usd: Floats
) -> tuple[Breach, ...]:
    """Breaches of groups come first, then those of domains, of pins and of budgets."""
    return (
        *_group_breaches(problem, mix),
        *_domain_breaches(problem, shares),
        *_pin_breaches(problem, mix),
        *_pace_breaches(problem, budget_cost_nano_usd),
    )


def relaxed(found: Sequence[Breach]) -> Relaxed:
    """The first of the levels that had to give way."""
    kinds = {breach.kind for breach in found}
    return next((level for kind, level in _SEVEREST if kind in kinds), "none")


def _group_breaches(problem: Problem, mix: Mix) -> Iterator[Breach]:
    labels, present = group_labels(problem.groups), np.unique(problem.group_of)
    for index in present.tolist():
        group, label, served = problem.groups[index], labels[index], float(mix.served[index])
        accuracy, miss = float(mix.accuracy[index]), float(mix.miss[index])
        if 1.0 - served > _NAMED:
            yield Breach("capacity", label, 1.0, served)
        if group.miss_max is not None and served * (miss - group.miss_max) > _NAMED:
            yield Breach("slo", label, 1.0 - group.miss_max, 1.0 - miss)
        if group.kept_floor is not None and served * (group.kept_floor - accuracy) > _NAMED:
            yield Breach("floor", label, group.kept_floor, accuracy)
        elif group.floor is not None and served * (group.floor - accuracy) > _NAMED:
            yield Breach("short", label, group.floor, accuracy)


def _domain_breaches(problem: Problem, shares: Floats) -> Iterator[Breach]:
    """Of domains that are asked for, and of all in groups of which nothing is."""
    if all(group.domain_floor is None for group in problem.groups):
        return
    weight, live = nominal_demand(problem), live_cells(problem)
    silent = np.setdiff1d(np.arange(weight.size), live)
    weight[silent[np.isin(problem.group_of[silent], problem.group_of[live])]] = 0.0
    for row in money_rows(problem):
        asked = float(weight[row.cells].sum())
        if row.kind != "domain" or not asked:
            continue
        served = weight[row.cells, None] * shares[row.cells]
        right = float((served * problem.accuracy[row.cells]).sum())
        part = float(served.sum())
        if (row.bound * part - right) / asked > _NAMED:
            yield Breach("domain", row.name, row.bound, right / part)


def _pin_breaches(problem: Problem, mix: Mix) -> Iterator[Breach]:
    present = set(problem.group_of.tolist())
    for pin in problem.pins:
        if pin.group not in present:
            continue
        share, served = float(mix.models[pin.group, pin.model]), float(mix.served[pin.group])
        least, most = pin_names(problem, pin)
        if served * (pin.share_min - share) > _NAMED:
            yield Breach("pin", least, pin.share_min, share)
        if served * (share - pin.share_max) > _NAMED:
            yield Breach("pin", most, pin.share_max, share)


def _pace_breaches(problem: Problem, cost_nano_usd: Floats) -> Iterator[Breach]:
    nothing = _NAMED * money_scale(problem)
    for budget, cost in zip(problem.budgets, cost_nano_usd.tolist(), strict=True):
        if cost - budget.pace_nano_usd > nothing:
            yield Breach("pace", budget.name, budget.pace_nano_usd, cost)
