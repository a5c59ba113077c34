import itertools
import math
import random
import statistics
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness import (
    Claim,
    NothingMeasured,
    Row,
    alternate,
    compare,
    judge,
    median_interval,
    timed,
)

CLAIM = Claim("reading", "Reader.read", "one pass", ratio_max=12)


class Clock:
    """Stands still but for what calls say that they take."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def taking(self, us: Callable[[], float]) -> Callable[[], None]:
        def call() -> None:
            self.now_s += us() / 1e6

        return call


def row(ratio_low: float, ratio_high: float) -> Row:
    return Row("reading", "Reader.read", "one pass", 2.0, ratio_low, ratio_high, 2.0, 1.0, 3.0)


def test_subject_and_floor_take_turns() -> None:
    order: list[str] = []
    alternate("reading", lambda: order.append("subject"), lambda: order.append("floor"), rounds=2)
    assert order == ["subject", "floor"] * 3


def test_the_first_round_warms_up_and_is_dropped() -> None:
    subject, floor = itertools.count(10), itertools.count(20)
    pairs = alternate("reading", lambda: next(subject), lambda: next(floor), rounds=2)
    assert pairs == [(11, 21), (12, 22)]


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    alternate("reading", lambda: 1, lambda: 1, rounds=2)
    said = capsys.readouterr()
    assert "reading: round 2 of 2" in said.err
    assert said.out == ""


def test_a_round_is_the_mean_of_its_calls_in_microseconds() -> None:
    clock = Clock()
    took_us = iter([1.0, 2.0, 6.0])
    assert timed(clock.taking(lambda: next(took_us)), 3, clock)() == pytest.approx(3)


def test_the_interval_contains_the_ratio_of_two_noisy_clocks() -> None:
    clock, chance = Clock(), random.Random(7)
    found = compare(
        CLAIM,
        clock.taking(lambda: 5 * chance.lognormvariate(0, 0.5)),
        clock.taking(lambda: chance.lognormvariate(0, 0.5)),
        rounds=30,
        calls=10,
        clock=clock,
    )
    assert found.ratio_low < 5 < found.ratio_high
    assert found.ratio_high / found.ratio_low < 2
    assert found.ratio_low <= found.ratio <= found.ratio_high


def test_noise_that_falls_on_both_leaves_the_ratio_alone() -> None:
    clock = Clock()
    slow = iter([1.0, 1.0, 1.0, 1.0, 9.0, 9.0, 1.0, 1.0])  # a round that was slow for both
    found = compare(
        CLAIM,
        clock.taking(lambda: 4 * next(slow)),
        clock.taking(lambda: next(slow)),
        rounds=3,
        calls=1,
        clock=clock,
    )
    assert (found.ratio_low, found.ratio, found.ratio_high) == pytest.approx((4, 4, 4))


def test_the_interval_holds_the_median_at_least_95_times_in_100() -> None:
    chance = random.Random(7)

    def holds() -> bool:
        low, high = median_interval([chance.expovariate(1) for _ in range(12)])
        return low <= math.log(2) <= high  # the median of this distribution

    assert statistics.mean(holds() for _ in range(4_000)) > 0.95


@pytest.mark.parametrize(
    ("count", "ranks"), [(5, (0, 4)), (6, (0, 5)), (12, (2, 9)), (30, (9, 20))]
)
def test_the_interval_lies_between_the_ranks_of_statistical_tables(
    count: int, ranks: tuple[int, int]
) -> None:
    assert median_interval(list(range(count))[::-1]) == ranks


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=40))
def test_the_interval_holds_the_median_of_the_values(values: list[float]) -> None:
    low, high = median_interval(values)
    assert low <= statistics.median(values) <= high


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(1.0, 3.0, "met"), (3.5, 4.0, "missed"), (2.9, 3.1, "undecided")]
)
def test_a_spread_that_crosses_its_target_is_undecided(
    low: float, high: float, verdict: str
) -> None:
    assert row(low, high).verdict == verdict


def test_a_promised_time_becomes_a_ratio_to_the_floor() -> None:
    claim = Claim("reading", "Reader.read", "one pass", subject_us_max=60)
    found = judge(claim, [(30.0, 4.0), (32.0, 4.0), (34.0, 4.0)])
    assert (found.subject_us, found.floor_us, found.target) == (32, 4, 15)


def test_of_two_promises_the_stricter_holds() -> None:
    claim = Claim("reading", "Reader.read", "one pass", ratio_max=12, subject_us_max=60)
    assert claim.target(4.0) == 12
    assert claim.target(10.0) == 6
    assert claim.limits == "12 x, 60 us"


def test_what_is_no_time_keeps_its_unit() -> None:
    claim = Claim("rest", "worker", "grpc.aio", ratio_max=2, unit="MB")
    assert judge(claim, [(46.0, 23.0)]).unit == "MB"
    assert judge(CLAIM, [(46.0, 23.0)]).unit == "us"


def test_a_floor_that_took_no_time_is_no_result() -> None:
    with pytest.raises(NothingMeasured, match="measure more calls"):
        judge(CLAIM, [(1.0, 0.0)])


@pytest.mark.parametrize(
    ("claim", "limits"),
    [
        (Claim("a", "b", "c", ratio_max=1 / 6), "0.167 x"),
        (Claim("a", "b", "c", subject_us_max=1_000), "1,000 us"),
    ],
)
def test_a_limit_is_written_with_the_digits_that_say_something(claim: Claim, limits: str) -> None:
    assert claim.limits == limits
