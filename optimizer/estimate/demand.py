"""Requests a second of every cell: how they are spread is remembered for long, their level is not.

A load that trebles is not one that will be planned for in a minute's time: until then it would be
served in full, and then, when it falls again, be refused for as long.
"""

from collections.abc import Mapping
from heapq import nlargest
from math import sqrt
from typing import Any, Self

from optimizer.estimate.accuracy import Cell
from optimizer.estimate.decayed import positive, tupled

# Twice as many as are planned at one time, of 300 bytes each. The rarest are forgotten first.
CELLS_MAX = 20_000
# What decay has left of a cell's requests when it is forgotten: 20 half-lives after a single one.
_REQUESTS_MIN = 1e-6
# A level is another one where the last windows differ from it by so many standard deviations of
# what comes at random: once in some 30,000 windows of a steady load.
_SURE = 4.0

# Windows that are more half-lives old than this say nothing of a level any more.
_LEVEL_AGES_MAX = 4.0

Group = tuple[str, str]  # class, payer


class DemandEstimate:
    """Windows weigh less as they age. Requests are divided by all the time that was watched, so a
    cell that is seen once in many windows is not taken for a frequent one.

    Of a class and payer whose last windows are beyond doubt unlike that, all cells are taken for
    as much more or less frequent.
    """

    def __init__(self, *, half_life_s: float = 30.0, level_half_life_s: float = 2.5) -> None:
        self._half_life_s = half_life_s
        self._level_half_life_s = level_half_life_s
        self._requests: dict[Cell, float] = {}
        self._watched_s = 0.0
        # Of the last windows, which are a few seconds whatever the memory of cells is.
        self._recent: dict[Group, float] = {}
        self._recent_s = 0.0
        self._recent_weights_s = 0.0  # the squares of what each of those seconds counts

    def observe_requests(self, counts: Mapping[Cell, float], watched_s: float) -> None:
        """Learns what was seen in so much time; a cell that is not named was not seen."""
        if not self._watched_s + watched_s:
            return  # requests in no time are no rate
        kept = 2.0 ** (-watched_s / self._half_life_s)
        self._watched_s = self._watched_s * kept + watched_s
        requests = {cell: seen * kept for cell, seen in self._requests.items()}
        for cell, count in counts.items():
            requests[cell] = requests.get(cell, 0.0) + count
        heard = {cell: seen for cell, seen in requests.items() if seen > _REQUESTS_MIN}
        if len(heard) > CELLS_MAX:
            heard = {
                cell: heard[cell] for cell in nlargest(CELLS_MAX, heard, key=heard.__getitem__)
            }
        self._requests = heard
        self._tell_level(counts, watched_s)

    def rename(self, names: Mapping[Group, Group]) -> None:
        """Plans for the requests of a class and payer under their new name from now on."""
        requests: dict[Cell, float] = {}
        for cell, seen in self._requests.items():
            renamed = (*names.get(cell[:2], cell[:2]), *cell[2:])
            requests[renamed] = requests.get(renamed, 0.0) + seen
        recent: dict[Group, float] = {}
        for group, seen in self._recent.items():
            renamed_group = names.get(group, group)
            recent[renamed_group] = recent.get(renamed_group, 0.0) + seen
        self._requests, self._recent = requests, recent

    def per_s(self) -> dict[Cell, float]:
        """The rate of every cell that is not forgotten; all are above 0."""
        changes = self._changes()
        return {
            cell: seen / self._watched_s * changes[cell[:2]]
            for cell, seen in self._requests.items()
        }

    def _tell_level(self, counts: Mapping[Cell, float], watched_s: float) -> None:
        kept = 2.0 ** (-watched_s / self._level_half_life_s)
        self._recent_s = self._recent_s * kept + watched_s
        self._recent_weights_s = self._recent_weights_s * kept**2 + watched_s
        recent = {group: seen * kept for group, seen in self._recent.items()}
        for cell, count in counts.items():
            recent[cell[:2]] = recent.get(cell[:2], 0.0) + count
        self._recent = {group: seen for group, seen in recent.items() if seen > _REQUESTS_MIN}

    def _changes(self) -> dict[Group, float]:
        """By how much each group's level is above or below what is remembered of its cells."""
        requests: dict[Group, float] = {}
        for cell, seen in self._requests.items():
            requests[cell[:2]] = requests.get(cell[:2], 0.0) + seen
        return {group: self._change(group, seen) for group, seen in requests.items()}

    def _change(self, group: Group, requests: float) -> float:
        expected = requests / self._watched_s * self._recent_s
        # Never none: a cell that is known is planned.
        seen = max(self._recent.get(group, 0.0), _REQUESTS_MIN)
        if not expected:
            return 1.0
        deviation = sqrt(max(seen, expected) * self._recent_weights_s / self._recent_s)
        return seen / expected if abs(seen - expected) > _SURE * deviation else 1.0

    def to_plain(self) -> dict[str, Any]:
        """All that outlives the process, in what JSON has."""
        return {
            "watched_s": self._watched_s,
            "rows": self._requests.items(),
            "recent": self._recent.items(),
            "recent_s": [self._recent_s, self._recent_weights_s],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], *, age_s: float = 0.0) -> Self:
        """Takes up what `to_plain` wrote; raises ValueError, TypeError or LookupError.

        Nobody watched for `age_s`: rates stay, and weigh less beside what is seen from now on.
        """
        found = cls()
        kept = 2.0 ** (-max(age_s, 0.0) / found._half_life_s)
        found._watched_s = positive(plain["watched_s"]) * kept
        rows = list(plain["rows"])[:CELLS_MAX]
        requests = {tupled(cell): positive(seen) * kept for cell, seen in rows}
        found._requests = {cell: seen for cell, seen in requests.items() if seen > _REQUESTS_MIN}
        if found._requests and not found._watched_s:
            raise ValueError("requests without any time in which they were seen")
        if age_s <= _LEVEL_AGES_MAX * found._level_half_life_s:
            found._restore_level(plain, age_s)
        return found

    def _restore_level(self, plain: Mapping[str, Any], age_s: float) -> None:
        kept = 2.0 ** (-max(age_s, 0.0) / self._level_half_life_s)
        self._recent = {tupled(group): positive(seen) * kept for group, seen in plain["recent"]}
        recent_s, weights_s = map(positive, plain["recent_s"])
        self._recent_s, self._recent_weights_s = recent_s * kept, weights_s * kept**2
