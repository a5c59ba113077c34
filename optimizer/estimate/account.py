"""Floors as accounts: what was missed or earned is carried into the windows that follow.

While few grades vouch for a floor, more than it is asked for: a plan that aims at the floor itself
falls short of it half of the time, by as much as its estimates are in doubt.
"""

from collections.abc import Mapping, Sequence
from math import inf, isfinite, sqrt
from typing import Any, Self

from optimizer.estimate.decayed import positive

# At least this many grades carry a debt: a mean over 3,000 has a standard error below a point, so
# what is carried is mostly debt, not luck.
HORIZON_GRADES = 3_000
# The horizon is at least this many times the delay of grades, or the account would answer the same
# debt again before the first answer shows.
_HORIZON_DELAYS = 3.0
# Beyond this many grades a debt would be carried for too long to matter to anyone.
HORIZON_GRADES_MAX = 1_000_000
# An old surplus lowers a floor by no more than two points; a debt raises it as far as it asks.
SHIFT_MAX = 0.02
# One-sided 95 %: as sure as a margin makes that the floor holds, going by the grades so far.
_MARGIN_Z = 1.645
# A margin takes at most this part of the wrong answers that a floor allows, or the first grades
# would send all traffic to the best model whatever it costs.
MARGIN_PART_MAX = 0.25
# Delay and pace of grades are means over about this many of them.
_SMOOTH_GRADES = 100.0


def margin_for(floor: float, grades: float) -> float:
    """How far above its floor a class is planned while that many grades vouch for it."""
    allowed = 1.0 - floor
    doubt = _MARGIN_Z * sqrt(floor * allowed / grades) if grades else inf
    return min(doubt, MARGIN_PART_MAX * allowed)


class FloorAccount:
    """The account of one group, from grades of requests decided while its floor could be held."""

    def __init__(self, floor: float) -> None:
        self._floor = floor
        self._frozen = False
        self._since_s = float("-inf")  # grades of earlier decisions do not count
        self._grades = 0.0
        self._weight = 0.0
        self._surplus = 0.0  # sum of weight * (quality - floor)
        self._rhythm = _Rhythm()

    def record_grade(
        self, quality: float, weight: float, *, decided_s: float, now_s: float
    ) -> None:
        """Counts a grade of the audit sample; weight: 1 / the probability that it was audited."""
        self._rhythm.observe_delay(decided_s, now_s)
        if self._frozen or decided_s < self._since_s:
            return
        kept = 1.0 - 1.0 / self._horizon()
        self._grades = self._grades * kept + 1.0
        self._weight = self._weight * kept + weight
        self._surplus = self._surplus * kept + weight * (quality - self._floor)

    def replace_grade(
        self, before: float, after: float, weight: float, *, decided_s: float
    ) -> None:
        """Counts a later grade of a decision in place of an earlier one."""
        if not self._frozen and decided_s >= self._since_s:
            self._surplus += weight * (after - before)

    def freeze(self, now_s: float) -> None:
        """Counts no grades until the next plan.

        For a floor that even upper bounds cannot reach, or while requests are shed.
        """
        self._frozen = True
        self._since_s = now_s

    def begin_anew(self) -> None:
        """Forgets what is owed: a model has changed, so it was of other answers."""
        self._grades = self._weight = self._surplus = 0.0

    @property
    def debt(self) -> float:
        """By how much more than its floor the next plans make up for what was missed."""
        return max(-self._carried(), 0.0)

    def required(self, floor: float, now_s: float, *, margin: float = 0.0) -> float:
        """The floor to ask of the next plan, from 0 to 1; a new floor begins a new account.

        What was earned is spent only beyond the margin, which would else pay for its own undoing.
        """
        if floor != self._floor:
            self._floor, self._since_s = floor, now_s
            self._grades = self._weight = self._surplus = 0.0
        elif self._frozen:
            self._since_s = now_s
        self._frozen = False
        shift = min(self._carried(), SHIFT_MAX)
        spent = max(shift - margin, 0.0) if shift > 0 else shift
        return min(max(floor + margin - spent, 0.0), 1.0)

    def to_plain(self) -> dict[str, Any]:
        """All that outlives the process, in what JSON has."""
        return {
            "floor": self._floor,
            "frozen": self._frozen,
            "since_s": self._since_s if isfinite(self._since_s) else None,
            "sums": [self._grades, self._weight, self._surplus],
            "rhythm": self._rhythm.to_plain(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Takes up what `to_plain` wrote; raises ValueError, TypeError or LookupError."""
        found = cls(positive(plain["floor"]))
        found._frozen = bool(plain["frozen"])
        if plain["since_s"] is not None:
            found._since_s = float(plain["since_s"])
        grades, weight, surplus = plain["sums"]
        found._grades, found._weight = positive(grades), positive(weight)
        found._surplus = float(surplus)
        found._rhythm = _Rhythm.from_plain(plain["rhythm"])
        return found

    def _carried(self) -> float:
        """How far its grades were above the floor, spread over those of a horizon."""
        if not self._weight:
            return 0.0
        return self._surplus / self._weight * min(1.0, self._grades / self._horizon())

    def _horizon(self) -> float:
        late = _HORIZON_DELAYS * self._rhythm.grades_in_delay
        return min(max(HORIZON_GRADES, late), HORIZON_GRADES_MAX)


class _Rhythm:
    """How late grades come, and how often."""

    def __init__(self) -> None:
        self._told = 0
        self._delay_s = 0.0
        self._gap_s = 0.0
        self._last_s = 0.0

    @property
    def grades_in_delay(self) -> float:
        """How many grades are under way at a time."""
        return self._delay_s / self._gap_s if self._gap_s else 0.0

    def to_plain(self) -> list[float]:
        return [self._told, self._delay_s, self._gap_s, self._last_s]

    @classmethod
    def from_plain(cls, plain: Sequence[Any]) -> Self:
        found = cls()
        told, *seconds = plain
        found._told = int(told)
        found._delay_s, found._gap_s, found._last_s = map(float, seconds)
        return found

    def observe_delay(self, decided_s: float, now_s: float) -> None:
        gap_s, self._last_s = now_s - self._last_s, now_s
        if self._told:
            self._gap_s += (gap_s - self._gap_s) / min(self._told, _SMOOTH_GRADES)
        self._told += 1
        self._delay_s += (now_s - decided_s - self._delay_s) / min(self._told, _SMOOTH_GRADES)
