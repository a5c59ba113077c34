"""What the audits of a window try, and whether a floor that a plan misses is out of reach."""

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np

from optimizer.deadline import Deadline
from optimizer.explore import (
    CHANGED,
    WORLDS,
    Exploration,
    Standing,
    Worlds,
    challengers,
    exploration,
    explored_cells,
    part_of_audits,
    planned_elsewhere,
)
from optimizer.problem import Bools, Floats, Ints, Problem, group_labels
from optimizer.solution import Solution
from server.config.classes import ClassConfig
from server.control.facts import Given
from server.control.hourly import HOUR_S
from server.control.money_moved import buying, given_up
from server.control.reach import FLOOR_TOLERANCE, floors_short
from server.control.window import Window
from server.money import usd
from turnout.v1 import admin_pb2 as pb

_LEAST = 1e-12  # of a cell that is served at all


class Explorer:
    """Remembers other worlds' plans from one window to the next."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._worlds = Worlds()

    def explore(
        self,
        given: Given,
        window: Window,
        solution: Solution,
        deadline: Deadline,
        changed: Collection[str] = (),
    ) -> Exploration:
        """What audits try beside this plan; more of them where models have changed."""
        # Other worlds' plans are mixes, whoever serves alone in this one.
        problem = replace(window.problem, pins=())
        audits = _audits(given, window, solution)
        at_least = np.where(_serves(window, changed), CHANGED, 0.0)
        audits = np.where(audits > 0, np.maximum(audits, at_least), 0.0)
        cells = explored_cells(problem, audits[problem.group_of] > 0)
        if not cells.size:
            return Exploration.nothing(problem)
        worlds = self._drawn(window, cells)
        found = planned_elsewhere(problem, solution.shares, cells, worlds, deadline)
        if found is None:
            return Exploration.nothing(problem)
        names = [window.cells[i] for i in cells.tolist()]
        elsewhere = self._worlds.smoothed(names, problem.models, found)
        tried = challengers(elsewhere, solution.shares[cells])
        return exploration(problem, cells, tried, audits)

    def _drawn(self, window: Window, cells: Ints) -> Iterator[Floats]:
        assert window.belief is not None
        for scale in WORLDS:
            yield window.belief.world(scale, self._random)[cells]


def explores(config: ClassConfig, *, buys: bool = False) -> bool:
    """Whether audits of the class may try other models: only grades could show what that gives.

    Nor is there anything to gain for who neither has a floor nor buys accuracy.
    """
    may = config.explore and config.grades != "none" and config.audit_rate > 0
    return may and (config.floor is not None or config.domain_floor is not None or buys)


def _serves(window: Window, models: Collection[str]) -> Bools:
    """(G,) whether one of these may serve a cell of the group."""
    problem = window.problem
    these = np.array([name in models for name in problem.models])
    cells = (problem.allowed & these).any(axis=1)
    groups = np.bincount(problem.group_of[cells], minlength=len(problem.groups))
    served: Bools = groups > 0
    return served


def _audits(given: Given, window: Window, solution: Solution) -> Floats:
    """(G,) the part of each group's audits that may probe.

    For a floor that has fallen, for its money is short, no better model is sought than usual.
    """
    problem, audits = window.problem, np.zeros(len(window.problem.groups))
    buys, fell = buying(problem), given_up(problem, solution)
    short = floors_short(window, solution) | _domains_short(problem, solution)
    for g, group in enumerate(window.problem.groups):
        config = given.classes[group.traffic_class]
        if window.belief is not None and explores(config, buys=bool(buys[g])):
            usual = Standing.HELD if fell[g] else _standing(window, solution, g)
            standing = Standing.SHORT if short[g] and not fell[g] else usual
            audits[g] = part_of_audits(standing, config.audit_rate)
    return audits


def _domains_short(problem: Problem, solution: Solution) -> Bools:
    """(G,) of which a domain is below its floor."""
    named = [breach.name for breach in solution.breaches if breach.kind == "domain"]
    groups = {name.rpartition(": ")[0] for name in named}
    return np.array([label in groups for label in group_labels(problem.groups)], dtype=bool)


def _standing(window: Window, solution: Solution, g: int) -> Standing:
    """Of a group whose floor is held."""
    required = window.problem.groups[g].floor or 0.0
    tight = solution.accuracy[g] < required - FLOOR_TOLERANCE
    return Standing.TIGHT if tight else Standing.HELD


def add_exploration(
    plan: pb.Plan, given: Given, window: Window, solution: Solution, exploration: Exploration
) -> None:
    """What audits try of each class and payer, and what that costs in an hour like the last one."""
    typical = window.typical
    rates = np.array([given.classes[g.traffic_class].audit_rate for g in typical.groups])
    probes = typical.demand * rates[typical.group_of] * exploration.part
    served = solution.shares / np.maximum(solution.shares.sum(axis=1), _LEAST)[:, None]
    dearer = ((exploration.shares - served) * typical.cost_nano_usd).sum(axis=1)
    for g, message in enumerate(plan.classes):
        cells = np.flatnonzero((typical.group_of == g) & (exploration.part > 0))
        if not cells.size:
            continue
        asked = float(typical.demand[typical.group_of == g].sum())
        message.explored = float(probes[cells].sum()) / asked if asked else 0.0
        message.explored_of_audits = message.explored / rates[g]
        per_hour = float(probes[cells] @ dearer[cells]) * HOUR_S / window.window_s
        message.explored_cost_nano_usd_per_hour = round(per_hour)
        message.explored_text = _text(message)


def _text(found: pb.PlanClass) -> str:
    cost = found.explored_cost_nano_usd_per_hour
    more = f"{usd(abs(cost))} an hour {'more' if cost >= 0 else 'less'}"
    audits, requests = (f"{100 * x:.2g}%" for x in (found.explored_of_audits, found.explored))
    tried = f"tries other models with {audits} of its audits, {requests} of its requests"
    return f"{tried}: {more} than without, paid as its other requests are"
