"""Intervals, and when a promise counts as broken."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.demo.promises import confidence_of_each, cost_ratio, poisson_high, wilson

totals = st.integers(1, 5000)
confidences = st.floats(0.5, 0.9999)
costs = st.lists(st.integers(1, 10_000), min_size=2, max_size=50)


@st.composite
def samples(draw: st.DrawFn) -> tuple[int, int]:
    total = draw(totals)
    return draw(st.integers(0, total)), total


def test_wilson_gives_the_textbook_interval() -> None:
    interval = wilson(81, 263, 0.95)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)


@given(samples(), confidences)
def test_an_interval_holds_its_sample_and_stays_within_0_and_1(
    sample: tuple[int, int], confidence: float
) -> None:
    interval = wilson(*sample, confidence)
    assert 0 <= interval.low <= interval.mean <= interval.high <= 1


@given(samples(), confidences, st.floats(0, 0.00009))
def test_more_confidence_widens_an_interval(
    sample: tuple[int, int], confidence: float, more: float
) -> None:
    narrow, wide = wilson(*sample, confidence), wilson(*sample, confidence + more)
    assert wide.low <= narrow.low + 1e-12
    assert narrow.high <= wide.high + 1e-12


@given(samples(), st.integers(2, 20))
def test_a_larger_sample_of_the_same_kind_narrows_the_interval(
    sample: tuple[int, int], times: int
) -> None:
    good, total = sample
    small, large = wilson(good, total, 0.95), wilson(good * times, total * times, 0.95)
    assert large.high - large.low < small.high - small.low


def test_a_count_leaves_possible_what_the_textbook_says() -> None:
    # The exact interval of a Poisson mean ends at 120.5.
    assert poisson_high(99, 0.95) == pytest.approx(120.5, abs=0.1)


@given(st.floats(0, 5_000), confidences)
def test_a_mean_that_lies_as_far_above_a_count_as_it_may_is_just_possible(
    count: float, confidence: float
) -> None:
    high = poisson_high(int(count), confidence)
    z = (high - int(count)) / math.sqrt(high) if high else 0.0
    assert z == pytest.approx(NormalDist().inv_cdf((1 + confidence) / 2))


def test_without_a_sample_everything_is_possible() -> None:
    interval = wilson(0, 0, 0.95)
    assert (interval.low, interval.high) == (0, 1)
    assert math.isnan(interval.mean)


def test_one_promise_alone_gets_the_whole_95_percent() -> None:
    assert confidence_of_each(1) == pytest.approx(0.95)


@given(st.integers(1, 1000))
def test_all_promises_together_miss_at_most_one_time_in_20(promises: int) -> None:
    assert promises * (1 - confidence_of_each(promises)) == pytest.approx(0.05)


def test_a_fair_service_breaks_a_promise_in_fewer_than_one_run_of_20() -> None:
    random, promises, runs = np.random.default_rng(0), 20, 2000
    confidence = confidence_of_each(promises)
    good = random.binomial(600, 0.92, size=(runs, promises))
    broken = {n for n in np.unique(good) if wilson(int(n), 600, confidence).high < 0.92}
    assert np.isin(good, list(broken)).any(axis=1).mean() < 0.05


def test_a_service_five_points_short_is_found_out() -> None:
    assert wilson(522, 600, confidence_of_each(20)).high < 0.92  # 87 %


@given(costs)
def test_a_mix_that_is_the_best_model_costs_what_it_costs(best: list[int]) -> None:
    interval = cost_ratio(best, best, 0.95)
    assert (interval.low, interval.mean, interval.high) == pytest.approx((1, 1, 1))


@given(costs, st.integers(1, 10_000))
def test_the_ratio_is_that_of_the_totals(mix: list[int], best: int) -> None:
    interval = cost_ratio(mix, [best] * len(mix), 0.95)
    assert interval.mean == pytest.approx(sum(mix) / (best * len(mix)))
    assert interval.low <= interval.mean <= interval.high


def test_pairs_that_rise_and_fall_together_tell_the_ratio_exactly() -> None:
    interval = cost_ratio([1, 2, 3, 400], [2, 4, 6, 800], 0.95)
    assert (interval.low, interval.high) == pytest.approx((0.5, 0.5))


def test_one_pair_proves_nothing() -> None:
    assert cost_ratio([1], [2], 0.95).high == math.inf
