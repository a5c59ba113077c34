"""Who asks what, and when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from server.replay.recording import Floats, Ints


@dataclass(frozen=True, slots=True)
class Traffic:
    """N requests as they come."""

    at_s: Floats  # (N,) since the beginning, rising
    query: Ints  # (N,) its row in the recording

    def __len__(self) -> int:
        return self.query.size

    def each(self) -> Iterator[tuple[float, int]]:
        """When, and which."""
        return zip(self.at_s.tolist(), self.query.tolist(), strict=True)


class Burst(NamedTuple):
    """A time in which so many times as many requests come."""

    begin_s: float
    end_s: float
    factor: float


def shuffled(queries: int, requests: int, random: np.random.Generator) -> Ints:
    """Every query once in some order, then in another, and so on."""
    rounds = -(-requests // queries)
    order = np.concatenate([random.permutation(queries) for _ in range(rounds)])
    return order[:requests].astype(np.int64)


def at_random(requests: int, per_s: float, random: np.random.Generator) -> Floats:
    """Arrivals that know nothing of each other (Poisson)."""
    at_s: Floats = np.cumsum(random.exponential(1.0 / per_s, requests))
    return at_s


def again(arrival_s: Floats, count: int) -> Floats:
    """So many arrivals; what was recorded comes again and again, from its beginning."""
    rounds: Ints = np.arange(count) // arrival_s.size
    length_s = arrival_s[-1] + (arrival_s[-1] / max(arrival_s.size - 1, 1))
    at_s: Floats = arrival_s[np.arange(count) % arrival_s.size] + rounds * length_s
    return at_s


def busier(at_s: Floats, bursts: Sequence[Burst]) -> Floats:
    """The same arrivals, closer together in bursts: what would have come later comes in them."""
    if not bursts:
        return at_s
    now_s, found = 0.0, np.empty_like(at_s)
    for n, gap_s in enumerate(np.diff(at_s, prepend=0.0).tolist()):
        factor = next((b.factor for b in bursts if b.begin_s <= now_s < b.end_s), 1.0)
        now_s += gap_s / factor
        found[n] = now_s
    return found
