"""The latency histogram, as the SDK's exporters take it, of counts that workers have bucketed."""

from collections.abc import Mapping, Sequence

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
)

from server.latency_buckets import LATENCY_BUCKETS, PER_DOUBLING, end_s

# Workers count in 64 buckets, 26 % apart; every third bound leaves 22 series, a factor of 2 apart.
_MERGED = PER_DOUBLING
BOUNDS_S = tuple(end_s(k * _MERGED) for k in range(LATENCY_BUCKETS // _MERGED))
# The middle of a worker's bucket, as a part of its upper bound.
_MIDDLE = 2.0 ** (-0.5 / _MERGED)

Durations = Sequence[tuple[Mapping[str, str], Sequence[int]]]  # attributes, counts by bucket


def duration_metric(durations: Durations, *, start_ns: int, now_ns: int) -> Metric:
    """Cumulative since the start; its sum is reckoned from the middles of the buckets."""
    points = [
        HistogramDataPoint(
            attributes=attributes,
            start_time_unix_nano=start_ns,
            time_unix_nano=now_ns,
            count=sum(counts),
            sum=sum(n * end_s(i) * _MIDDLE for i, n in enumerate(counts)),
            bucket_counts=_merged(counts),
            explicit_bounds=BOUNDS_S,
            min=min((end_s(i - 1) for i, n in enumerate(counts) if n), default=0.0),
            max=max((end_s(i) for i, n in enumerate(counts) if n), default=0.0),
        )
        for attributes, counts in durations
    ]
    return Metric(
        name="turnout.request.duration",
        description="Of whole requests, from their arrival to the end of the answer.",
        unit="s",
        data=Histogram(points, AggregationTemporality.CUMULATIVE),
    )


def _merged(counts: Sequence[int]) -> list[int]:
    """Counts up to each bound, then those above the last."""
    ends = range(1, LATENCY_BUCKETS + _MERGED, _MERGED)
    return [sum(counts[max(end - _MERGED, 0) : end]) for end in ends]
