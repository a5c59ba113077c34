"""Whether the traffic is still like the text that the learned classifier learned from.

The measure is the population stability index of the last hour's decisions by domain against the
training mix: the sum over domains of (seen - trained) x ln(seen / trained). By custom 0.1 is a
change worth a look, and 0.25 one that is no chance.
"""

import math
from collections import Counter, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

DRIFTED = 0.25
# Of fewer the index says more about chance than about traffic: about 0.03 for 14 domains.
DECISIONS_MIN = 500

_SLICE_S = 300.0
_SLICES = 12  # an hour
# A domain that is not there at all counts as this part of all, so that the index is finite.
_LEAST = 1e-3


@dataclass(frozen=True, slots=True)
class Drift:
    """How the mix has moved."""

    index: float | None  # None: too few decisions
    trained: Mapping[str, float]
    seen: Mapping[str, float]  # fractions of the decisions in these domains

    @property
    def drifted(self) -> bool:
        return self.index is not None and self.index >= DRIFTED


class DomainDrift:
    """Is told decisions and when. Domains that the classifier does not know are left out."""

    def __init__(self) -> None:
        self._trained: Mapping[str, float] = {}
        self._slices: deque[tuple[int, Counter[str]]] = deque(maxlen=_SLICES)

    @property
    def domains(self) -> Collection[str]:
        """Those that the classifier knows."""
        return self._trained.keys()

    def expect(self, trained: Mapping[str, float]) -> None:
        """Compares with this mix from now on; with an empty one there is nothing to compare."""
        if trained != self._trained:
            self._trained = trained
            self._slices.clear()  # another classifier has other domains

    def observe_decisions(self, domain: str, decisions: int, *, now_s: float) -> None:
        """So many requests were put in the domain."""
        if domain not in self._trained:
            return
        number = int(now_s // _SLICE_S)
        if not self._slices or self._slices[-1][0] != number:
            self._slices.append((number, Counter()))
        self._slices[-1][1][domain] += decisions

    def of(self, *, now_s: float) -> Drift | None:
        """Of the last hour; None where there is nothing to compare with."""
        if not self._trained:
            return None
        first = int(now_s // _SLICE_S) - _SLICES + 1
        counts = sum((c for number, c in self._slices if number >= first), Counter[str]())
        total = counts.total()
        seen = {domain: counts[domain] / max(total, 1) for domain in self._trained}
        index = _index(self._trained, seen) if total >= DECISIONS_MIN else None
        return Drift(index, self._trained, seen)

    def to_plain(self) -> dict[str, Any]:
        """What was seen, with the mix that it is compared with, in what JSON has."""
        return {
            "trained": dict(self._trained),
            "slices": [[number, dict(counts)] for number, counts in self._slices],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], *, now_s: float) -> Self:
        """Takes up what `to_plain` wrote; raises ValueError, TypeError or LookupError.

        Another mix to compare with forgets it.
        """
        found = cls()
        found._trained = {str(name): float(part) for name, part in plain["trained"].items()}
        this = int(now_s // _SLICE_S)
        for number, counts in plain["slices"]:
            seen = Counter({name: int(counts.get(name, 0)) for name in found._trained})
            if int(number) <= this:
                found._slices.append((int(number), seen))
        return found


def _index(trained: Mapping[str, float], seen: Mapping[str, float]) -> float:
    pairs = ((max(seen[name], _LEAST), max(part, _LEAST)) for name, part in trained.items())
    return sum((now - before) * math.log(now / before) for now, before in pairs)
