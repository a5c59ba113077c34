"""How many requests of a class miss its SLO, as they were counted."""

from typing import NamedTuple

from optimizer.estimate.decayed import DecayedSums, EstimateOfSums

# A class with its SLO and a first model; 200 bytes each.
KEYS_MAX = 20_000
# What else is believed counts as much as this many requests that were counted.
_BELIEVED = 10.0


class Promise(NamedTuple):
    """What misses are counted against; another SLO begins a new count."""

    traffic_class: str
    slo_s: float
    first: str  # the model that requests began with


class MissEstimate(EstimateOfSums[Promise]):
    """Counts exactly: a request that is late, or fails, or both, is one miss."""

    def __init__(self, *, half_life_s: float = 120.0) -> None:
        self._sums = DecayedSums[Promise](2, half_life_s=half_life_s, keys_max=KEYS_MAX)

    def observe_misses(
        self, promise: Promise, completed: float, missed: float, now_s: float
    ) -> None:
        """What was counted since the last telling."""
        self._sums.add(promise, (completed, missed), now_s)

    def of(self, promise: Promise, *, believed: float, now_s: float) -> float:
        """P(a miss), leaning on what is believed of the model while few were counted."""
        completed, missed = self._sums.of(promise, now_s)
        return min(float((missed + _BELIEVED * believed) / (completed + _BELIEVED)), 1.0)
