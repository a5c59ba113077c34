"""Requests a second of every cell."""

from collections.abc import Mapping
from heapq import nlargest
from typing import Any, Self

from optimizer.estimate.accuracy import Cell
from optimizer.estimate.decayed import positive, tupled

# Twice what is planned at one time; 300 bytes each. The rarest are forgotten first.
CELLS_MAX = 20_000
# What decay has left of a cell's requests when it is forgotten: 20 half-lives after a single one.
_REQUESTS_MIN = 1e-6


class DemandEstimate:
    """Windows weigh less as they age. Requests are divided by all the time that was watched, so a
    cell that is seen once in many windows is not taken for a frequent one.
    """

    def __init__(self, *, half_life_s: float = 30.0) -> None:
        self._half_life_s = half_life_s
        self._requests: dict[Cell, float] = {}
        self._watched_s = 0.0

    def told(self, counts: Mapping[Cell, float], window_s: float) -> None:
        """What one window saw; a cell that is not named saw nothing."""
        kept = 2.0 ** (-window_s / self._half_life_s)
        self._watched_s = self._watched_s * kept + window_s
        requests = {cell: seen * kept for cell, seen in self._requests.items()}
        for cell, count in counts.items():
            requests[cell] = requests.get(cell, 0.0) + count
        heard = {cell: seen for cell, seen in requests.items() if seen > _REQUESTS_MIN}
        if len(heard) > CELLS_MAX:
            heard = {
                cell: heard[cell] for cell in nlargest(CELLS_MAX, heard, key=heard.__getitem__)
            }
        self._requests = heard

    def per_s(self) -> dict[Cell, float]:
        """Of every cell that is not forgotten; all above 0."""
        return {cell: seen / self._watched_s for cell, seen in self._requests.items()}

    def to_plain(self) -> dict[str, Any]:
        """All that outlives the process, in what JSON has."""
        return {"watched_s": self._watched_s, "rows": self._requests.items()}

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
        return found
