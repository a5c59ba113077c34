"""What a window may spend of each budget, so that its money lasts until its period ends.

What is left goes to requests by what they need, now and by forecast until the end: so unspent money
carries over, a busy moment has more of it than a quiet one, and so has a busy hour of a day.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from optimizer.estimate.need import NeedEstimate
from optimizer.problem import Bools, Budget, Floats, Problem
from server.control.budgets import PACE_MIN, BudgetState, period
from server.control.facts import Given
from server.routing.catalog import Cell

# A need gets at most so many times what it would of the whole amount, spread over the whole period:
# what is left over near the end, for less came than was expected, is not thrown at the last.
_EASED_MAX = 1.2
# What was left over so far is for all that is to come; but some windows' requests cost more than is
# usual of their need, and no floor should fall for them while there is so much of it.
_SAVED_PART = 0.1


def reference_cost(problem: Problem) -> Floats:
    """(C,) nano-dollars that a request needs, whatever the plan: on average of those it may ask."""
    allowed = problem.allowed
    total = np.where(allowed, problem.cost_nano_usd, 0.0).sum(axis=1)
    cost: Floats = total / allowed.sum(axis=1)
    return cost


class Money:
    """The budgets of one window."""

    def __init__(
        self,
        given: Given,
        needs: NeedEstimate,
        cells: Sequence[Cell],
        cost: Floats,
        window_s: float,
    ) -> None:
        """`cost` is (C,), of a request."""
        self._given, self._needs, self._cells = given, needs, cells
        self._cost, self._window_s = cost, window_s
        self._drawn = drawn_on(cells, given.budgets)

    def observe_needs(self) -> None:
        """Learns what came since the last window."""
        given, asked = self._given, self._given.told.asked
        need = self._cost * np.array([asked[cell] for cell in self._cells])
        for name, cells in self._drawn.items():
            start_s, _ = period(given.budgets[name].period, given.now_s)
            self._needs.observe_need(
                name, float(need @ cells), given.watched_s, start_s=start_s, now_s=given.now_s
            )

    def budgets(self, demand: Floats) -> list[Budget]:
        """Each with its pace for so many requests, (C,) a window."""
        return [
            Budget(name, cells, self._pace(self._given.budgets[name], float(demand @ need)))
            for name, cells in self._drawn.items()
            for need in [self._cost * cells]
        ]

    def _pace(self, state: BudgetState, need: float) -> float:
        """Nano-dollars that the window may spend on this need."""
        start_s, end_s = period(state.period, self._given.now_s)
        window_s, now_s = self._window_s, self._given.now_s
        even = state.amount_nano_usd * window_s / (end_s - start_s)
        if not need:
            return max(state.pace_nano_usd_per_s * window_s, PACE_MIN * even)
        # Near the end of a period not all that is left may be spent at once.
        end_s = max(end_s, now_s + window_s)
        rate = need / window_s
        to_come = self._needs.to_come(
            state.name, now_per_s=rate, start_s=start_s, now_s=now_s, end_s=end_s
        )
        to_come = max(to_come, need)
        left = state.amount_nano_usd - state.spent_nano_usd - state.unreported_nano_usd
        so_far = self._needs.so_far(state.name, start_s=start_s)
        usual = state.amount_nano_usd / (so_far + to_come)  # for each nano-dollar of need
        pace, saved = left * need / to_come, left - usual * to_come
        if saved > 0:
            pace = max(pace, usual * need + _SAVED_PART * saved)
        return max(min(pace, _EASED_MAX * usual * need), PACE_MIN * even)


def drawn_on(cells: Sequence[Cell], budgets: Mapping[str, object]) -> Mapping[str, Bools]:
    """By budget, (C,) whether a request of the cell draws on it."""
    payers = list(dict.fromkeys(cell.payer for cell in cells))
    index = {payer: n for n, payer in enumerate(payers)}
    payer_of = np.array([index[cell.payer] for cell in cells])
    names = [frozenset(payer.split("+")) for payer in payers]
    return {name: np.array([name in of for of in names])[payer_of] for name in budgets}
