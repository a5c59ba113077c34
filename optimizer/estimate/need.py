"""What a budget's requests will need by the end of its period: by the hours of a day and of a week.

A need is money at prices that no plan changes, so that what a mix was moved to does not look as if
less were asked. It is learned for each hour of the week; an hour that was seen little goes by the
same hour of other days and by what its day is beside others, and these by the mean.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from optimizer.estimate.decayed import DecayedSums, positive
from optimizer.problem import Floats

HOUR_S, DAY_HOURS, WEEK_HOURS = 3_600.0, 24, 168
# 1970-01-01 was a Thursday: a week begins with Monday.
_MONDAY_HOURS = 3 * DAY_HOURS
# Four weeks ago counts a quarter: what a weekday is like shows, and what it was like fades.
_HALF_LIFE_S = 14 * DAY_HOURS * HOUR_S
# An hour of the day is believed to be like the mean for as long as this, an hour of the week to be
# like that hour of other days, and a day of the week to be like others for a quarter of a day.
_HOUR_PRIOR_S, _DAY_PRIOR_S = HOUR_S, 6 * HOUR_S
# Where no other period is known its level is what comes now, for as long as this.
_SETTLED_S = 15.0
# A level like that of other periods is believed for this part of one.
_LEVEL_PART = 0.25
# So many as there may be budgets, of 3 KB each.
BUDGETS_MAX = 1_000


class _Period(NamedTuple):
    """What was seen of the period that runs."""

    start_s: float
    first_s: float  # since when it was watched
    need: float = 0.0
    watched_s: float = 0.0


class NeedEstimate:
    """Is told what came, and says what is to come."""

    def __init__(self) -> None:
        # Of each hour of the week the need, then how long it was watched.
        self._weeks = DecayedSums[str](
            2 * WEEK_HOURS, half_life_s=_HALF_LIFE_S, keys_max=BUDGETS_MAX
        )
        self._periods: dict[str, _Period] = {}

    def observe_need(
        self, budget: str, need: float, watched_s: float, *, start_s: float, now_s: float
    ) -> None:
        """Learns what came in the time before now, of the period that began at start_s."""
        if watched_s <= 0:
            return
        seen, hour = np.zeros(2 * WEEK_HOURS), int(_hour_of_week(now_s - watched_s / 2))
        seen[hour], seen[WEEK_HOURS + hour] = need, watched_s
        self._weeks.add(budget, seen, now_s)
        period = self._period(budget, start_s, max(now_s - watched_s, start_s))
        total = period.need + need, period.watched_s + watched_s
        self._periods[budget] = _Period(start_s, period.first_s, *total)
        if len(self._periods) > BUDGETS_MAX:
            known = self._periods
            self._periods = {name: known[name] for name in self._weeks if name in known}

    def so_far(self, budget: str, *, start_s: float) -> float:
        """What came since this period began."""
        return self._period(budget, start_s, start_s).need

    def to_come(
        self, budget: str, *, now_per_s: float, start_s: float, now_s: float, end_s: float
    ) -> float:
        """What is expected from now to the end, by the shape of a week and this period's level."""
        need, watched_s = np.split(self._weeks.of(budget, now_s), 2)
        if not (need.any() and watched_s.any()):
            return now_per_s * (end_s - now_s)
        per_s = _rates(need, watched_s)
        period = self._period(budget, start_s, now_s)
        before_s = max(float(watched_s.sum()) - period.watched_s, 0.0)
        # What is known of other periods says that this one is like them; else what comes now does.
        now = now_per_s / float(per_s[int(_hour_of_week(now_s))])
        usual = (before_s + _SETTLED_S * now) / (before_s + _SETTLED_S)
        unsettled_s = max(_SETTLED_S - period.watched_s, 0.0)
        weight_s = max(unsettled_s, min(before_s, _LEVEL_PART * (end_s - start_s)))
        weight = weight_s * float(per_s.mean())
        elapsed_s = max(now_s - period.first_s, period.watched_s) or 1.0
        expected = _between(per_s, period.first_s, now_s) * period.watched_s / elapsed_s
        level = (period.need + weight * usual) / ((expected + weight) or 1.0)
        return level * _between(per_s, now_s, end_s)

    def to_plain(self) -> dict[str, Any]:
        """All that outlives the process, in what JSON has."""
        return {**self._weeks.to_plain(), "periods": list(self._periods.items())}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Takes up what `to_plain` wrote; raises ValueError, TypeError or LookupError."""
        found = cls()
        found._weeks.restore(plain)
        for name, period in list(plain["periods"])[:BUDGETS_MAX]:
            found._periods[str(name)] = _Period(*map(positive, period))
        return found

    def _period(self, budget: str, start_s: float, first_s: float) -> _Period:
        """The period that began then; one of which nothing was seen where another runs."""
        period = self._periods.get(budget)
        if period is None or period.start_s != start_s:
            return _Period(start_s, first_s)
        return period


def _hour_of_week(at_s: float) -> float:
    return (at_s / HOUR_S + _MONDAY_HOURS) % WEEK_HOURS


def _rates(need: Floats, watched_s: Floats) -> Floats:
    """(168,) the need a second of each hour of the week; above 0 where anything was needed."""
    need, watched_s = need.reshape(-1, DAY_HOURS), watched_s.reshape(-1, DAY_HOURS)
    mean = float(need.sum() / watched_s.sum())
    of_hour = (need.sum(axis=0) + _HOUR_PRIOR_S * mean) / (watched_s.sum(axis=0) + _HOUR_PRIOR_S)
    prior = _DAY_PRIOR_S * mean
    of_day = (need.sum(axis=1) + prior) / ((watched_s * of_hour).sum(axis=1) + prior)
    expected = of_day[:, None] * of_hour
    per_s: Floats = (need + _HOUR_PRIOR_S * expected) / (watched_s + _HOUR_PRIOR_S)
    return per_s.ravel()


def _between(per_s: Floats, begin_s: float, end_s: float) -> float:
    """The need from one time to another."""
    hours = np.arange(int(begin_s // HOUR_S), int(-(-end_s // HOUR_S)))
    begin, end = np.maximum(hours * HOUR_S, begin_s), np.minimum((hours + 1) * HOUR_S, end_s)
    return float(per_s[(hours + _MONDAY_HOURS) % WEEK_HOURS] @ np.maximum(end - begin, 0.0))
