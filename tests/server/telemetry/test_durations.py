import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics.export import HistogramDataPoint

from server.latency_buckets import LATENCY_BUCKETS, latency_bucket
from server.telemetry.durations import BOUNDS_S, duration_metric


def point(counts: list[int]) -> HistogramDataPoint:
    metric = duration_metric([({"model": "m"}, counts)], start_ns=1, now_ns=2)
    (found,) = metric.data.data_points
    assert isinstance(found, HistogramDataPoint)
    return found


def test_bounds_go_from_a_tenth_of_a_millisecond_to_minutes() -> None:
    assert BOUNDS_S[0] == pytest.approx(1e-4)
    assert BOUNDS_S[-1] == pytest.approx(104.8576)


@given(st.lists(st.floats(min_value=1e-5, max_value=100.0), max_size=50))
def test_merged_buckets_count_as_if_each_latency_had_been_recorded(
    latencies_s: list[float],
) -> None:
    counts, expected = [0] * LATENCY_BUCKETS, [0] * (len(BOUNDS_S) + 1)
    for latency_s in latencies_s:
        counts[latency_bucket(latency_s)] += 1
        expected[bisect.bisect_left(BOUNDS_S, latency_s * (1 - 1e-12))] += 1
    found = point(counts)
    assert found.bucket_counts == expected
    assert found.count == len(latencies_s)


@given(st.lists(st.floats(min_value=1e-4, max_value=4.0), min_size=1, max_size=50))
def test_the_sum_is_within_half_a_bucket_of_the_truth(latencies_s: list[float]) -> None:
    counts = [0] * LATENCY_BUCKETS
    for latency_s in latencies_s:
        counts[latency_bucket(latency_s)] += 1
    found = point(counts)
    assert found.sum == pytest.approx(sum(latencies_s), rel=0.13)
    assert found.min <= min(latencies_s) * (1 + 1e-9)
    assert found.max >= max(latencies_s) * (1 - 1e-9)
