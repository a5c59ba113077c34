"""Recorded outcomes: requests, and what each of some models made of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_T = TypeVar("_T")

# Of every three queries one is for tuning settings; figures come from the others.
_TUNING_OF = 3


@dataclass(frozen=True, slots=True)
class Requests:
    """Q requests, as they were recorded; what was not said is empty."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    domains: tuple[str, ...]
    traffic_classes: tuple[str, ...]
    tenants: tuple[str, ...]
    input_tokens: tuple[int | None, ...]
    arrival_s: Floats | None = None  # (Q,) rising; None: not recorded

    def names(self) -> Iterator[str]:
        """What tells queries apart: the text, or else the id."""
        return (text or id_ for text, id_ in zip(self.texts, self.ids, strict=True))

    def of(self, rows: Sequence[int]) -> Self:
        """Those of these rows."""
        return replace(
            self,
            ids=_taken(self.ids, rows),
            texts=_taken(self.texts, rows),
            domains=_taken(self.domains, rows),
            traffic_classes=_taken(self.traffic_classes, rows),
            tenants=_taken(self.tenants, rows),
            input_tokens=_taken(self.input_tokens, rows),
            arrival_s=None if self.arrival_s is None else self.arrival_s[list(rows)],
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """Q requests, and what M models made of each: (Q, M) tables, NaN where it is not known."""

    requests: Requests
    models: tuple[str, ...]  # named as a configuration would
    score: Floats  # 0 to 1
    input_tokens: Floats
    output_tokens: Floats
    cost_usd: Floats
    latency_s: Floats

    def of(self, rows: Sequence[int]) -> Self:
        """Only these requests."""
        tables = {name: table[list(rows)] for name, table in self.tables().items()}
        return type(self)(requests=self.requests.of(rows), models=self.models, **tables)

    def tables(self) -> Mapping[str, Floats]:
        """Every table by its name."""
        return {
            "score": self.score,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": self.cost_usd,
            "latency_s": self.latency_s,
        }


def is_for_tuning(query: str) -> bool:
    """Whether a query is of the third that settings may be tuned on.

    By its text where it has one, for some texts have several ids.
    """
    digest = blake2b(query.encode(), digest_size=8).digest()
    return int.from_bytes(digest) % _TUNING_OF == 0


def tuning(recording: Recording) -> Recording:
    """The third that settings are tuned on."""
    return recording.of(_rows(map(is_for_tuning, recording.requests.names())))


def held_out(recording: Recording) -> Recording:
    """The two thirds that figures come from."""
    return recording.of(_rows(not is_for_tuning(key) for key in recording.requests.names()))


def _taken(values: Sequence[_T], rows: Sequence[int]) -> tuple[_T, ...]:
    return tuple([values[row] for row in rows])


def _rows(wanted: Iterable[bool]) -> list[int]:
    return [row for row, is_wanted in enumerate(wanted) if is_wanted]
