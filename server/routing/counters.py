"""What a worker counts, in plain attributes: the control plane merges and exports for all."""

import itertools
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from server.latency_buckets import LATENCY_BUCKETS
from server.routing.catalog import Cell

# Legs counted apart, about 1 KB each; those beyond are counted under their class.
COUNTED_MAX = 50_000
OVERFLOW = "overflow"
# Of the leg of what no model was asked for.
NO_MODEL = ""
# Reasons come from our own table and the endpoints' statuses; this is only a backstop.
REASONS_MAX = 100


class Leg(NamedTuple):
    """Requests of a cell that began with `first`, and what `model` did for them."""

    cell: Cell
    first: str
    model: str


@dataclass(slots=True)
class Counts:
    """Of one leg. The fields are those of CellStats on the wire, by name."""

    # Whole requests, of a leg whose model is its first.
    decided: int = 0
    ended: int = 0  # after attempts, whatever came of them
    completed: int = 0  # of those, the ones that say something of the model
    failed: int = 0
    slo_missed: int = 0
    # What the model itself took.
    attempts: int = 0
    answered: int = 0
    input_tokens: int = 0
    output_tokens: int = 0  # but for those that were guessed
    busy_s: float = 0.0
    cost_nano_usd: int = 0
    latency_counts: list[int] = field(default_factory=lambda: [0] * LATENCY_BUCKETS)  # requests
    # Refused requests of the cell; of the leg without a model.
    shed: int = 0
    # Decisions by Route, and their expected cost, until callers report what they took.
    unreported: int = 0
    unreported_nano_usd: int = 0
    # Of the input tokens, those that the provider had in its cache and those that it put there; of
    # the output tokens, those that the model wrote for itself.
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_tokens: int = 0
    # Attempts whose tokens were not told, and their part of the cost; answers of which nothing that
    # was written was seen either.
    estimated: int = 0
    estimated_nano_usd: int = 0
    guessed: int = 0

    def values(self) -> Mapping[str, Any]:
        """Every field by its name."""
        return {name: getattr(self, name) for name in FIELDS}

    def add(self, more: "Counts") -> None:
        """Adds to each field, in place."""
        for name in FIELDS:
            setattr(self, name, _each(operator.add, getattr(self, name), getattr(more, name)))

    def less(self, last: "Counts") -> "Counts":
        """What was counted since last."""
        return Counts(
            **{
                name: _each(operator.sub, getattr(self, name), getattr(last, name))
                for name in FIELDS
            }
        )

    def least(self, other: "Counts") -> "Counts":
        """The lesser of the two, field by field."""
        return Counts(
            **{name: _each(min, getattr(self, name), getattr(other, name)) for name in FIELDS}
        )

    def copy(self) -> "Counts":
        return self.less(Counts())

    def to_plain(self) -> Mapping[str, Any]:
        """Fields that are not zero; of latencies those buckets."""
        plain = {name: value for name, value in self.values().items() if value}
        plain["latency_counts"] = [[i, n] for i, n in enumerate(self.latency_counts) if n]
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Counts":
        """Raises TypeError, ValueError, LookupError or AttributeError for something else."""
        counts = cls()
        for name in plain.keys() - {"latency_counts"}:
            kind = type(getattr(counts, name))
            setattr(counts, name, kind(plain[name]))
        for bucket, count in plain["latency_counts"]:
            counts.latency_counts[bucket] = int(count)
        return counts


FIELDS = tuple(one.name for one in fields(Counts))


class Counters:
    """Cumulative since the worker's start; `touched` since the last push that was answered."""

    def __init__(self, *, counted_max: int = COUNTED_MAX) -> None:
        self._counted_max = counted_max
        # By plain tuples, which equal legs: to make a named one takes as long as all the rest.
        self._legs: dict[tuple[Cell, str, str], Counts] = {}
        self._touched: set[tuple[Cell, str, str]] = set()
        self._refusals: Counter[str] = Counter()

    def of(self, cell: Cell, first: str, model: str) -> Counts:
        """The counts to add to; what is asked for is pushed."""
        key = (cell, first, model)
        counts = self._legs.get(key)
        if counts is None:
            if len(self._legs) >= self._counted_max:
                key = (cell._replace(domain=OVERFLOW, size_bucket=OVERFLOW), first, model)
            counts = self._legs.setdefault(key, Counts())
        self._touched.add(key)
        return counts

    def count_shed(self, cell: Cell) -> None:
        """A request of the cell was refused, as the plan or a capacity says."""
        self.of(cell, NO_MODEL, NO_MODEL).shed += 1

    def count_refusal(self, reason: str) -> None:
        """A request was answered with an error of this reason."""
        if reason not in self._refusals and len(self._refusals) >= REASONS_MAX:
            reason = OVERFLOW
        self._refusals[reason] += 1

    def take_touched(self, most: int | None = None) -> list[Leg]:
        """What to push, at most so many; hand it back by `touch_again` if it is not answered."""
        touched = list(map(Leg._make, itertools.islice(self._touched, most)))
        self._touched.difference_update(touched)
        return touched

    def touch_again(self, legs: list[Leg]) -> None:
        self._touched.update(legs)

    def touch_all(self) -> None:
        """For a control plane that may not know what earlier pushes told."""
        self._touched.update(self._legs)

    def get(self, leg: Leg) -> Counts:
        return self._legs[leg]

    def refusals(self) -> Iterator[tuple[str, int]]:
        return iter(self._refusals.items())


def _each(operation: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    """Of two numbers, or number by number of two lists."""
    if isinstance(one, list):
        return list(map(operation, one, other))
    return operation(one, other)
