"""Latencies are counted by every process in the same buckets."""

import pytest

from server.latency_buckets import LATENCY_BUCKETS, end_s, latency_bucket


@pytest.mark.parametrize(
    ("latency_s", "bucket"),
    [
        (0.0, 0),
        (100e-6, 0),
        (100.1e-6, 1),
        (199e-6, 3),
        (201e-6, 4),
        (0.1, 30),
        (160, 62),
        (170, 63),
        (1e9, LATENCY_BUCKETS - 1),
    ],
)
def test_a_latency_is_counted_up_to_its_buckets_bound(latency_s: float, bucket: int) -> None:
    assert latency_bucket(latency_s) == bucket


@pytest.mark.parametrize("bucket", range(LATENCY_BUCKETS - 1))
def test_bucket_i_ends_at_100_us_times_2_to_the_i_thirds(bucket: int) -> None:
    assert end_s(bucket) == pytest.approx(100e-6 * 2 ** (bucket / 3))
    assert latency_bucket(end_s(bucket) * 0.999) == bucket
    assert latency_bucket(end_s(bucket) * 1.001) == bucket + 1
