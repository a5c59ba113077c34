"""Remembers what is in force, so that a group keeps its mix where another would gain nothing."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from optimizer.keeping import keep
from optimizer.problem import Bools, Floats
from optimizer.solution import Solution
from server.control.facts import GroupName
from server.control.guard import Guarded
from server.control.window import Window
from server.routing.catalog import Cell

# A mix that is short of a floor or an SLO, within what is tolerated, is kept for so many windows
# in a row: a minute, in which noise turns. What lasts longer is no noise.
SHORT_WINDOWS_MAX = 12


class Steadiness:
    """Told of each plan in force; says what of it stays in the next."""

    def __init__(self) -> None:
        self._models: tuple[str, ...] = ()
        self._shares: Mapping[Cell, Floats] = {}  # (M,) of each cell
        self._short: Counter[GroupName] = Counter()  # for so many windows in a row

    def keep(self, guarded: Guarded) -> Guarded:
        """The plan, in which groups keep their mix where a new one would gain nothing."""
        window = guarded.window
        names = [(group.traffic_class, group.payer) for group in window.problem.groups]
        if window.problem.models != self._models:
            return guarded
        before, may = self._before(window, guarded.solution)
        may &= [self._short[name] < SHORT_WINDOWS_MAX for name in names]
        kept = keep(window.problem, guarded.solution, before, may)
        self._short = Counter(
            {
                name: self._short[name] + 1
                for name, short in zip(names, kept.short.tolist(), strict=True)
                if short
            }
        )
        return guarded._replace(solution=kept.solution)

    def remember(self, window: Window, solution: Solution) -> None:
        """What is in force from now on."""
        self._models = window.problem.models
        self._shares = dict(zip(window.cells, solution.shares, strict=True))

    def _before(self, window: Window, solution: Solution) -> tuple[Floats, Bools]:
        """(C, M) what cells have; (G,) which groups had any. A new cell has what is planned."""
        problem = window.problem
        before = np.array(
            [
                self._shares.get(cell, new)
                for cell, new in zip(window.cells, solution.shares, strict=True)
            ]
        )
        known = np.array([cell in self._shares for cell in window.cells], dtype=bool)
        had: Bools = np.bincount(problem.group_of, known, len(problem.groups)) > 0
        return before, had
