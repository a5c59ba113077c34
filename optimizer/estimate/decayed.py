"""Sums that forget: of what they were told, half is gone after every half-life."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Generic, Self, TypeVar

import numpy as np

from optimizer.problem import Floats

Key = TypeVar("Key", bound=Hashable)

# Sums are kept at the scale of one moment and read at the scale of another, so that telling touches
# one key alone. After this many half-lives the moment moves on, long before numbers overflow.
_REBASE_HALF_LIVES = 64.0
# What rounding leaves of a sum that was taken back whole.
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class KeyedSums(Generic[Key]):
    """Keys with their sums as they were at one moment, each made plain when it is read."""

    keys: Sequence[Key]
    sums: Sequence[Floats]

    def __iter__(self) -> Iterator[tuple[Key, list[float]]]:
        return ((key, sums.tolist()) for key, sums in zip(self.keys, self.sums, strict=True))


class DecayedSums(Generic[Key]):
    """Some sums for each key, none below 0. The key that was told of longest ago is forgotten.

    Arrays are replaced, never edited: rows that another thread reads stay as they were.
    """

    def __init__(self, width: int, *, half_life_s: float, keys_max: int) -> None:
        self._width, self._half_life_s, self._keys_max = width, half_life_s, keys_max
        self._sums: dict[Key, Floats] = {}
        self._since_s: float | None = None

    def __len__(self) -> int:
        return len(self._sums)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._sums)

    def add(self, key: Key, values: Sequence[float] | Floats, now_s: float) -> None:
        """Adds to the sums of a key, which becomes the last to be forgotten."""
        growth = self._growth(now_s)
        sums = self._sums.pop(key, None)
        if sums is None:
            sums = np.zeros(self._width)
            if len(self._sums) >= self._keys_max:
                del self._sums[next(iter(self._sums))]
        self._sums[key] = sums + np.asarray(values) * growth

    def take_back(self, key: Key, values: Sequence[float] | Floats, told_s: float) -> None:
        """Undoes what was added at told_s, unless its key has been forgotten since."""
        sums = self._sums.get(key)
        if sums is None:
            return
        left = np.maximum(sums - np.asarray(values) * self._growth(told_s), 0.0)
        if left[0] <= _NOTHING * sums[0]:
            del self._sums[key]
        else:
            self._sums[key] = left

    def put(self, key: Key, values: Sequence[float] | Floats, now_s: float) -> None:
        """Replaces what was told of a key; makes it the one told of last."""
        self._sums.pop(key, None)
        self.add(key, values, now_s)

    def drop(self, key: Key) -> None:
        """Forgets a key."""
        self._sums.pop(key, None)

    def of(self, key: Key, now_s: float) -> Floats:
        """(width,) the sums of a key; zeros if it is not known."""
        sums = self._sums.get(key)
        return np.zeros(self._width) if sums is None else sums / self._growth(now_s)

    def all(self, now_s: float) -> tuple[list[Key], Floats]:
        """The keys and their sums, (keys, width)."""
        table = np.array(list(self._sums.values())).reshape(-1, self._width)
        return list(self._sums), table / self._growth(now_s)

    def to_plain(self) -> dict[str, Any]:
        """All that outlives the process, in what JSON has; taken in a moment, for later."""
        rows = KeyedSums(list(self._sums), list(self._sums.values()))
        return {"since_s": self._since_s, "rows": rows}

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Takes up what `to_plain` wrote; raises ValueError, TypeError or LookupError."""
        since_s, rows = plain["since_s"], list(plain["rows"])[-self._keys_max :]
        table = np.array([sums for _, sums in rows], dtype=np.float64).reshape(-1, self._width)
        if len(table) != len(rows) or not np.isfinite(table).all() or (table < 0).any():
            raise ValueError(f"rows have not {self._width} sums from 0 each")
        self._since_s = None if since_s is None else float(since_s)
        self._sums = {tupled(key): sums.copy() for (key, _), sums in zip(rows, table, strict=True)}

    def _growth(self, now_s: float) -> float:
        """How much more a telling counts now than one at the moment of the kept scale."""
        if self._since_s is None:
            self._since_s = now_s
        half_lives = (now_s - self._since_s) / self._half_life_s
        if half_lives > _REBASE_HALF_LIVES:
            left = 2.0**-half_lives
            self._sums = {key: sums * left for key, sums in self._sums.items()}
            self._since_s, half_lives = now_s, 0.0
        return float(2.0**half_lives)


class EstimateOfSums(Generic[Key]):
    """An estimate that rests on decayed sums, and on nothing else that outlives the process."""

    _sums: DecayedSums[Key]

    def to_plain(self) -> dict[str, Any]:
        """All that outlives the process, in what JSON has."""
        return self._sums.to_plain()

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Takes up what `to_plain` wrote; raises ValueError, TypeError or LookupError."""
        found = cls()
        found._sums.restore(plain)
        return found


def tupled(plain: Any) -> Any:
    """A key as it was: JSON has made lists of tuples."""
    return tuple(map(tupled, plain)) if isinstance(plain, list) else plain


def positive(plain: Any) -> float:
    """A number from 0 on; raises ValueError or TypeError."""
    number = float(plain)
    if not 0.0 <= number < inf:
        raise ValueError(f"{number} is not from 0 on")
    return number
