"""What a worker counts, in plain attributes: the control plane merges and exports for all."""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import log2

from server.routing.catalog import Cell

# Bucket i counts latencies up to 100 us * 2^(i/3), 26 % apart; the last one all above 166 s.
LATENCY_BUCKETS = 64
_FIRST_BUCKET_S = 100e-6
# (cell, model) pairs counted apart, about 1 KB each; those beyond are counted under their class.
COUNTED_MAX = 50_000
OVERFLOW = "overflow"
# Reasons come from our own table and the endpoints' statuses; this is only a backstop.
REASONS_MAX = 100


@dataclass(slots=True)
class CellCounts:
    """Cumulative, for one cell and model; the fields are those of CellStats on the wire."""

    decided: int = 0
    completed: int = 0
    failed: int = 0
    slo_missed: int = 0
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    busy_s: float = 0.0
    cost_nano_usd: int = 0
    latency_counts: list[int] = field(default_factory=lambda: [0] * LATENCY_BUCKETS)


class Counters:
    """Cumulative since the worker's start; `touched` since the last push that was answered."""

    def __init__(self, *, counted_max: int = COUNTED_MAX) -> None:
        self._counted_max = counted_max
        self._cells: dict[tuple[Cell, str], CellCounts] = {}
        self._touched: set[tuple[Cell, str]] = set()
        self._refusals: Counter[str] = Counter()

    def of(self, cell: Cell, model: str) -> CellCounts:
        """The counts to add to; what is asked for is pushed."""
        key = (cell, model)
        counts = self._cells.get(key)
        if counts is None:
            if len(self._cells) >= self._counted_max:
                key = (Cell(cell.traffic_class, cell.payer, OVERFLOW, OVERFLOW), model)
            counts = self._cells.setdefault(key, CellCounts())
        self._touched.add(key)
        return counts

    def refused(self, reason: str) -> None:
        """A request was answered with an error of this reason."""
        if reason not in self._refusals and len(self._refusals) >= REASONS_MAX:
            reason = OVERFLOW
        self._refusals[reason] += 1

    def take_touched(self, most: int | None = None) -> list[tuple[Cell, str]]:
        """What to push, at most so many; hand it back by `touch_again` if it is not answered."""
        touched = list(itertools.islice(self._touched, most))
        self._touched.difference_update(touched)
        return touched

    def touch_again(self, keys: list[tuple[Cell, str]]) -> None:
        self._touched.update(keys)

    def get(self, key: tuple[Cell, str]) -> CellCounts:
        return self._cells[key]

    def refusals(self) -> Iterator[tuple[str, int]]:
        return iter(self._refusals.items())


def latency_bucket(latency_s: float) -> int:
    """The bucket that counts this latency."""
    if latency_s <= _FIRST_BUCKET_S:
        return 0
    steps = 3 * log2(latency_s / _FIRST_BUCKET_S)
    return min(int(-(-steps // 1)), LATENCY_BUCKETS - 1)
