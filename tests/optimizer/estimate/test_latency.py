"""Latency from log-bucketed counts."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.estimate.latency import LatencyEstimate
from server.latency_buckets import LATENCY_BUCKETS


def counts(*latencies_s: float) -> list[int]:
    """As a worker counts them."""
    found = [0] * LATENCY_BUCKETS
    for latency_s in latencies_s:
        ends = [i for i in range(LATENCY_BUCKETS) if latency_s <= 100e-6 * 2 ** (i / 3)]
        found[ends[0] if ends else LATENCY_BUCKETS - 1] += 1
    return found


def told(counted: Sequence[int], failed: int = 0) -> LatencyEstimate:
    estimate = LatencyEstimate()
    estimate.observe_latencies("svc", counted, failed, 0.0)
    return estimate


def test_a_model_is_taken_at_its_word_until_its_requests_say_otherwise() -> None:
    assert LatencyEstimate().miss("svc", 0.1, 0.0) == 0
    # One late request is no proof, a hundred are.
    assert told(counts(1.0)).miss("svc", 0.1, 0.0) == pytest.approx(1 / 11)
    assert told(counts(*[1.0] * 1_000)).miss("svc", 0.1, 0.0) > 0.98


def test_what_is_late_is_counted_against_what_is_not() -> None:
    found = told(counts(*[0.010] * 9_000, *[0.500] * 1_000))
    assert found.miss("svc", 0.1, 0.0) == pytest.approx(0.1, abs=0.001)


def test_a_failure_is_a_miss_however_quick() -> None:
    found = told(counts(*[0.010] * 10_000), failed=2_000)
    assert found.miss("svc", 0.1, 0.0) == pytest.approx(0.2, abs=0.001)


def test_inside_a_bucket_latencies_are_even_on_the_log_scale() -> None:
    start_s, end_s = 100e-6 * 2 ** (19 / 3), 100e-6 * 2 ** (20 / 3)
    found = told([0] * 20 + [1_000_000] + [0] * (LATENCY_BUCKETS - 21))
    assert found.miss("svc", start_s, 0.0) == pytest.approx(1, abs=1e-4)
    assert found.miss("svc", (start_s * end_s) ** 0.5, 0.0) == pytest.approx(0.5, abs=1e-4)
    assert found.miss("svc", end_s, 0.0) == pytest.approx(0, abs=1e-4)


def test_beyond_the_last_bucket_half_is_taken_to_be_slower_than_twice_its_start() -> None:
    found = told([0] * (LATENCY_BUCKETS - 1) + [1_000_000])
    start_s = 100e-6 * 2 ** (62 / 3)
    assert found.miss("svc", start_s, 0.0) == pytest.approx(1, abs=1e-4)
    assert found.miss("svc", 2 * start_s, 0.0) == pytest.approx(0.5, abs=1e-4)


latencies = st.lists(st.floats(1e-5, 20), min_size=1, max_size=30)


@given(latencies, st.floats(1e-4, 10), st.floats(1, 3))
def test_a_looser_slo_is_never_missed_more(
    observed: list[float], slo_s: float, factor: float
) -> None:
    found = told(counts(*observed))
    assert found.miss("svc", slo_s * factor, 0.0) <= found.miss("svc", slo_s, 0.0)
    assert 0 <= found.miss("svc", slo_s, 0.0) <= 1


@pytest.mark.parametrize("slo_s", [0.005, 0.02, 0.1])
def test_the_fraction_beyond_an_slo_is_that_of_the_requests(slo_s: float) -> None:
    observed = np.random.default_rng(1).lognormal(np.log(0.015), 0.8, 20_000)
    found = told(counts(*observed.tolist()))
    assert found.miss("svc", slo_s, 0.0) == pytest.approx(
        float((observed > slo_s).mean()), abs=0.01
    )


def test_old_requests_fade_so_that_a_model_is_tried_again() -> None:
    found = told(counts(*[1.0] * 1_000))
    assert found.miss("svc", 0.1, 30 * 120.0) < 0.01


def test_a_late_failure_is_one_miss() -> None:
    found = told(counts(*[0.010] * 9_000, *[0.500] * 1_000), failed=1_000)
    assert found.miss("svc", 0.1, 0.0) == pytest.approx(0.1, abs=0.001)
