"""The buckets that latencies are counted in: bucket i ends at 100 us * 2 ** (i / 3).

They are 26 % apart, and the last one holds all above 166 s.
"""

from math import log2

LATENCY_BUCKETS = 64
FIRST_END_S = 100e-6
PER_DOUBLING = 3


def latency_bucket(latency_s: float) -> int:
    """The bucket that counts this latency."""
    if latency_s <= FIRST_END_S:
        return 0
    steps = PER_DOUBLING * log2(latency_s / FIRST_END_S)
    return min(int(-(-steps // 1)), LATENCY_BUCKETS - 1)


def end_s(bucket: int) -> float:
    """Where a bucket ends and the next begins; -1: where the first begins."""
    return float(FIRST_END_S * 2.0 ** (bucket / PER_DOUBLING))
