"""What each class and payer is promised, and what the plan aims at for it."""

from dataclasses import replace
from math import inf

from optimizer.estimate.account import FloorAccount, margin_for
from optimizer.problem import Group
from server.config.aims import seeks_accuracy
from server.control.estimates import Estimates
from server.control.facts import Given, GroupName

_HUNDREDTHS = 0.01, -0.01


def promised_group(given: Given, name: GroupName) -> Group:
    """As configured: without margins and accounts."""
    traffic_class, payer = name
    config = given.classes[traffic_class]
    return Group(
        traffic_class=traffic_class,
        payer=payer,
        priority=config.priority,
        floor=config.floor,
        miss_max=None if config.slo is None else 1 - config.slo.fraction,
        floor_before_slo=config.if_short == "refuse",
        floor_when_short=config.floor_when_short,
        domain_floor=config.domain_floor,
        best_within_budget=seeks_accuracy(given.config, config, payer),
    )


def planned_group(given: Given, estimates: Estimates, name: GroupName) -> Group:
    """With the margin of its grades and what earlier windows left.

    Where no grades come, nothing would ever show what a margin is for.
    """
    group = promised_group(given, name)
    if group.floor is None:
        return group
    account = estimates.accounts.setdefault(name, FloorAccount(group.floor))
    if given.classes[name[0]].grades == "none":
        floor = account.required(group.floor, given.now_s)
        return replace(group, floor=floor, floor_when_short=_lower(group, floor))
    grades = estimates.accuracy.of_group(*name, given.now_s).grades
    margin = margin_for(group.floor, grades)
    floor = account.required(group.floor, given.now_s, margin=margin)
    return replace(
        group,
        floor=floor,
        floor_when_short=_lower(group, floor, grades),
        floor_steps=_floor_steps(group.floor, grades, margin),
    )


def _lower(group: Group, floor: float, grades: float | None = None) -> float | None:
    """Where the floor may fall: with a margin as any floor, and never above the whole one."""
    lower = group.floor_when_short
    if lower is None:
        return None
    margin = 0.0 if grades is None else margin_for(lower, grades)
    return min(lower + margin, floor)


def _floor_steps(floor: float, grades: float, margin: float) -> tuple[float, float]:
    """How far a hundredth more or less promised moves the floor; inf if it cannot be promised."""
    up, down = (
        step + margin_for(floor + step, grades) - margin if 0 <= floor + step <= 1 else step * inf
        for step in _HUNDREDTHS
    )
    return up, down
