"""Latency of whatever has a key, from log-bucketed counts."""

from collections.abc import Hashable, Sequence

import numpy as np

from optimizer.estimate.decayed import DecayedSums, EstimateOfSums
from optimizer.problem import Floats
from server.latency_buckets import FIRST_END_S, LATENCY_BUCKETS, PER_DOUBLING, end_s

# Models, or models by size; 700 bytes each.
KEYS_MAX = 10_000

# A key is credited with so many requests that kept their SLO. So it is trusted until its own ones
# say otherwise: else a new model would be sent nothing and never be known.
_CREDIT = 10.0

# (B,) where each bucket ends; the last one has no end.
_END_S: Floats = np.array([end_s(bucket) for bucket in range(LATENCY_BUCKETS)])


class LatencyEstimate(EstimateOfSums[Hashable]):
    """Counts come in the buckets of `server/latency_buckets.py`; the last one has no end."""

    def __init__(self, *, half_life_s: float = 120.0) -> None:
        self._sums = DecayedSums[Hashable](
            LATENCY_BUCKETS + 1, half_life_s=half_life_s, keys_max=KEYS_MAX
        )

    def observe_latencies(
        self, key: Hashable, counts: Sequence[int], failed: int, now_s: float
    ) -> None:
        """counts: of the requests completed since the last telling, the failed ones among them."""
        if len(counts) != LATENCY_BUCKETS:
            raise ValueError(f"counts has {len(counts)} buckets: it must have {LATENCY_BUCKETS}")
        self._sums.add(key, np.append(counts, failed), now_s)

    def miss(self, key: Hashable, slo_s: float, now_s: float) -> float:
        """P(latency beyond the SLO, or failure), at least; 0 while nothing is known.

        The buckets do not say which requests failed: they may be among the late ones.
        """
        sums = self._sums.of(key, now_s)
        requests = float(sums[:LATENCY_BUCKETS].sum()) + _CREDIT
        late, failed = float(sums[:LATENCY_BUCKETS] @ _beyond(slo_s)), float(sums[LATENCY_BUCKETS])
        return min(max(late, failed) / requests, 1.0)


def _beyond(slo_s: float) -> Floats:
    """(B,) the part of each bucket that is slower: latencies are even in it on the log scale.

    Of the last one, which has no end, half is taken to be slower than twice its start.
    """
    position = PER_DOUBLING * np.log2(slo_s / FIRST_END_S)
    slower: Floats = np.clip(np.arange(LATENCY_BUCKETS) - position, 0.0, 1.0)
    slower[-1] = min(1.0, float(_END_S[-2]) / slo_s)
    return slower
