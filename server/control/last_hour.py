"""What happened in the last hour, to the minute."""

import functools
from collections import deque
from collections.abc import Hashable
from typing import NamedTuple

from server.routing.counters import Counts

_MINUTE_S = 60
_MINUTES = 60


class Happened(NamedTuple):
    """Sums over a time."""

    decided: int = 0
    completed: int = 0
    slo_missed: int = 0
    cost_nano_usd: int = 0
    shed: int = 0


class LastHour:
    """Sums by key. Keys come from the configuration, so there are never many."""

    def __init__(self) -> None:
        self._minutes: dict[Hashable, deque[tuple[int, Happened]]] = {}

    def add(self, key: Hashable, counts: Counts, *, now_s: float) -> None:
        minutes = self._minutes.setdefault(key, deque(maxlen=_MINUTES))
        minute = int(now_s // _MINUTE_S)
        had = minutes.pop()[1] if minutes and minutes[-1][0] == minute else Happened()
        minutes.append((minute, _plus(had, counts)))

    def of(self, key: Hashable, *, now_s: float) -> Happened:
        """The sums of one key; what is older than an hour is left out."""
        first = int(now_s // _MINUTE_S) - _MINUTES + 1
        kept = [sums for minute, sums in self._minutes.get(key, ()) if minute >= first]
        return functools.reduce(_plus, kept, Happened())


def _plus(had: Happened, counts: Counts | Happened) -> Happened:
    return Happened(
        decided=had.decided + counts.decided,
        completed=had.completed + counts.completed,
        slo_missed=had.slo_missed + counts.slo_missed,
        cost_nano_usd=had.cost_nano_usd + counts.cost_nano_usd,
        shed=had.shed + counts.shed,
    )
