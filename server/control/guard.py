"""Whether routing pays: a mix serves a class only where it costs less than one model for all would.

A mix is planned for its floor and a margin, which few grades make wide; to reach that by what is
expected it may need models that cost many times as much. One model that has been graded often is
by itself surer to hold the floor than such a mix. Where it costs less, it serves.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from optimizer.deadline import Deadline
from optimizer.problem import Pin
from optimizer.single import Single, singles
from optimizer.solution import Failure, Solution
from server.control.estimates import Estimates
from server.control.facts import Given
from server.control.window import Window

# A model begins to serve a class alone where its mean is above the floor by so many standard
# deviations of what is believed of it, and goes on until it is expected to be below: all audits
# grade it meanwhile, and a choice that chance turns in each window would cost more.
BEGINS_Z = 1.0
_ROUNDING = 1e-6  # of a cost
# A floor is asked so much below what the model is expected to give: no breach by rounding.
_SLACK = 1e-9
_NOTHING = 1e-9  # of requests that are shed

Solver = Callable[[Window, Deadline], Solution | Failure]


class Guarded(NamedTuple):
    """What is planned in the end; both by the group's index."""

    window: Window
    solution: Solution
    singles: Mapping[int, Single]  # the cheapest that is sure to hold all that is promised
    alone: frozenset[int]  # whom it serves instead of a mix
    mixed: tuple[Window, Solution]  # what would be planned without


class Guard:
    """Remembers which model serves a group alone, from one window to the next."""

    def __init__(self, solver: Solver) -> None:
        self._solver = solver
        self._alone: Mapping[tuple[str, str], str] = {}

    def guard(
        self,
        given: Given,
        window: Window,
        mix: Solution,
        estimates: Estimates,
        deadline: Deadline,
    ) -> Guarded:
        """The mix, or one model for all requests of each group in which that costs less."""
        found = dict[int, Single]()
        for g in _compared(window, mix):
            single = self._cheapest(given, window, mix, estimates, g)
            if single is not None:
                found[g] = single
        less = {g: one for g, one in found.items() if _costs_less(one, mix, g)}
        guarded = Guarded(window, mix, found, frozenset(), (window, mix))
        if less:
            pinned = _pinned(window, estimates, less)
            alone = self._solver(pinned, deadline)
            if isinstance(alone, Solution) and _gives_up_no_more(alone, mix):
                guarded = Guarded(pinned, alone, found, frozenset(less), (window, mix))
            else:  # they do not fit beside each other
                guarded = guarded._replace(
                    singles={g: found[g] for g in found.keys() - less.keys()}
                )
        names = {g: window.problem.models[found[g].model] for g in guarded.alone}
        self._alone = {_name(window, g): model for g, model in names.items()}
        return guarded

    def _cheapest(
        self, given: Given, window: Window, mix: Solution, estimates: Estimates, g: int
    ) -> Single | None:
        needed, serving = _needed(window, estimates, g), self._alone.get(_name(window, g))
        sure = _sure_accuracy(given, window, g)
        for single in singles(window.problem, g, mix.shares):
            serves = window.problem.models[single.model] == serving
            if (single.accuracy if serves else sure[single.model]) >= needed - _SLACK:
                return single
        return None


def _compared(window: Window, mix: Solution) -> list[int]:
    """Groups that are asked, served whole, and in which the least cost is sought."""
    problem = window.problem
    asked = np.bincount(problem.group_of, problem.demand, len(problem.groups))
    whole = (asked > 0) & (mix.group_shed <= _NOTHING)
    return [g for g in np.flatnonzero(whole).tolist() if not problem.groups[g].best_within_budget]


def _sure_accuracy(given: Given, window: Window, g: int) -> list[float]:
    """(M,) what each model's mean over the group is at least, as sure as is asked.

    Where no grades come nothing will ever be surer, so it is what is expected.
    """
    problem = window.problem
    cells = np.flatnonzero(problem.group_of == g)
    part = problem.demand[cells] / problem.demand[cells].sum()
    accuracy = problem.accuracy[cells]
    graded = given.classes[problem.groups[g].traffic_class].grades != "none"
    if window.belief is not None and graded:
        bound = window.belief.shifted(problem.group_of, problem.demand, -BEGINS_Z)
        accuracy = bound[cells]
    sure: list[float] = (part @ accuracy).tolist()
    return sure


def _needed(window: Window, estimates: Estimates, g: int) -> float:
    """The floor with what is owed to it; a surplus was earned by whoever served then."""
    floor, account = window.configured.groups[g].floor, estimates.accounts.get(_name(window, g))
    if floor is None:
        return 0.0
    return min(floor + (account.debt if account is not None else 0.0), 1.0)


def _costs_less(single: Single, mix: Solution, g: int) -> bool:
    return single.cost_nano_usd < float(mix.group_cost_nano_usd[g]) * (1.0 - _ROUNDING)


def _pinned(window: Window, estimates: Estimates, alone: Mapping[int, Single]) -> Window:
    """The window in which these models serve their groups alone, for floors without a margin."""
    groups = list(window.problem.groups)
    for g, single in alone.items():
        if groups[g].floor is not None:
            needed = min(_needed(window, estimates, g), single.accuracy - _SLACK)
            floor = max(min(groups[g].floor or 0.0, needed), groups[g].floor_when_short or 0.0)
            groups[g] = replace(groups[g], floor=floor)
    pins = [Pin(g, single.model, share_min=1.0) for g, single in alone.items()]
    problem = replace(window.problem, groups=tuple(groups), pins=[*window.problem.pins, *pins])
    return replace(window, problem=problem)


def _gives_up_no_more(alone: Solution, mix: Solution) -> bool:
    before = {(breach.kind, breach.name) for breach in mix.breaches}
    return {(breach.kind, breach.name) for breach in alone.breaches} <= before


def _name(window: Window, g: int) -> tuple[str, str]:
    group = window.problem.groups[g]
    return group.traffic_class, group.payer
