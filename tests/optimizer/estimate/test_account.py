"""Floors as accounts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.estimate.account import (
    HORIZON_GRADES,
    HORIZON_GRADES_MAX,
    MARGIN_PART_MAX,
    SHIFT_MAX,
    FloorAccount,
    margin_for,
)

FLOOR = 0.9


def tell(account: FloorAccount, quality: float, times: int, *, start_s: float = 0.0) -> float:
    """Grades a second apart, each at once; answers when it ends."""
    for n in range(times):
        account.record_grade(quality, 1.0, decided_s=start_s + n, now_s=start_s + n)
    return start_s + times


def test_a_new_account_asks_for_the_floor() -> None:
    assert FloorAccount(FLOOR).required(FLOOR, 0.0) == FLOOR


def test_what_was_missed_is_asked_for_in_the_windows_that_follow() -> None:
    account = FloorAccount(FLOOR)
    tell(account, 0.89, 300)
    # 300 grades were a point short: 3 right answers, over the 3,000 to come.
    assert account.required(FLOOR, 300.0) == pytest.approx(FLOOR + 3 / HORIZON_GRADES, abs=1e-4)


def test_what_was_earned_may_be_spent() -> None:
    account = FloorAccount(FLOOR)
    tell(account, 0.91, 300)
    assert account.required(FLOOR, 300.0) == pytest.approx(FLOOR - 3 / HORIZON_GRADES, abs=1e-4)


def test_a_debt_that_is_paid_back_is_gone() -> None:
    account = FloorAccount(FLOOR)
    end_s = tell(account, 0.80, 200)
    tell(account, 1.0, 200, start_s=end_s)
    assert account.required(FLOOR, 1e4) == pytest.approx(FLOOR, abs=0.001)


@pytest.mark.parametrize(("quality", "asked"), [(0.86, 0.94), (0.0, 1.0), (1.0, FLOOR - SHIFT_MAX)])
def test_a_debt_moves_a_floor_as_far_as_it_asks_and_a_surplus_by_two_points(
    quality: float, asked: float
) -> None:
    account = FloorAccount(FLOOR)
    tell(account, quality, 20_000)
    assert account.required(FLOOR, 2e4) == pytest.approx(asked, abs=1e-3)


@given(
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(0, 1), st.floats(1, 100), st.floats(0, 60)), max_size=40),
)
def test_what_is_asked_for_is_a_fraction_and_not_far_below_the_floor(
    floor: float, grades: list[tuple[float, float, float]]
) -> None:
    account = FloorAccount(floor)
    for n, (quality, weight, delay_s) in enumerate(grades):
        account.record_grade(quality, weight, decided_s=n - delay_s, now_s=float(n))
    asked = account.required(floor, 100.0)
    assert 0 <= asked <= 1
    assert asked >= floor - SHIFT_MAX - 1e-12


def test_another_floor_opens_another_account() -> None:
    account = FloorAccount(FLOOR)
    end_s = tell(account, 0.5, 3_000)
    assert account.required(0.7, end_s) == 0.7
    # What was decided under the old floor says nothing about the new one.
    account.record_grade(0.0, 1.0, decided_s=end_s - 1, now_s=end_s + 1)
    assert account.required(0.7, end_s + 2) == 0.7
    account.record_grade(0.0, 1.0, decided_s=end_s + 1, now_s=end_s + 2)
    assert account.required(0.7, end_s + 3) > 0.7


def test_while_the_floor_is_unreachable_no_debt_grows() -> None:
    account = FloorAccount(FLOOR)
    for window in range(20):
        now_s = window * 100.0
        assert account.required(FLOOR, now_s) == FLOOR
        account.freeze(now_s)
        tell(account, 0.5, 100, start_s=now_s)


def test_what_was_decided_while_it_was_frozen_never_counts() -> None:
    account = FloorAccount(FLOOR)
    account.freeze(0.0)
    assert account.required(FLOOR, 10.0) == FLOOR
    account.record_grade(0.0, 1.0, decided_s=9.0, now_s=11.0)
    assert account.required(FLOOR, 12.0) == FLOOR
    account.record_grade(0.0, 1.0, decided_s=11.0, now_s=13.0)
    assert account.required(FLOOR, 14.0) > FLOOR


def test_a_debt_outlives_a_freeze() -> None:
    account = FloorAccount(FLOOR)
    end_s = tell(account, 0.5, 100)
    owed = account.required(FLOOR, end_s)
    account.freeze(end_s)
    assert account.required(FLOOR, end_s + 100) == owed > FLOOR


def test_what_was_audited_rarely_counts_for_more() -> None:
    account = FloorAccount(0.5)
    for n in range(100):
        account.record_grade(float(n % 2), 3.0 if n % 2 else 1.0, decided_s=n, now_s=n)
    # Three quarters of what the sample stands for was right.
    assert account.required(0.5, 100.0) == pytest.approx(
        0.5 - 0.25 * 100 / HORIZON_GRADES, abs=1e-3
    )


def test_a_later_grade_takes_the_place_of_an_earlier_one() -> None:
    account, plain = FloorAccount(FLOOR), FloorAccount(FLOOR)
    account.record_grade(0.0, 1.0, decided_s=0.0, now_s=0.0)
    account.replace_grade(0.0, 1.0, 1.0, decided_s=0.0)
    plain.record_grade(1.0, 1.0, decided_s=0.0, now_s=0.0)
    assert account.required(FLOOR, 1.0) == pytest.approx(plain.required(FLOOR, 1.0))


def test_where_grades_come_late_debts_are_spread_over_three_times_the_delay() -> None:
    account = FloorAccount(FLOOR)
    for n in range(5_000):
        account.record_grade(0.89, 1.0, decided_s=n - 10_000.0, now_s=float(n))
    # 10,000 grades are under way, so 30,000 to pay a point over 5,000 back.
    assert account.required(FLOOR, 5e3) == pytest.approx(FLOOR + 0.01 * 5 / 30, rel=0.001)


def test_no_horizon_is_longer_than_a_million_grades() -> None:
    account = FloorAccount(FLOOR)
    for n in range(1_000):
        account.record_grade(0.0, 1.0, decided_s=-1e12, now_s=float(n))
    owed = 0.9 * 1_000 / HORIZON_GRADES_MAX
    assert account.required(FLOOR, 1e3) == pytest.approx(FLOOR + owed, rel=1e-3)


def test_over_the_long_run_the_floor_is_held_though_estimates_are_two_points_too_high() -> None:
    random, account, right = np.random.default_rng(2), FloorAccount(FLOOR), []
    for window in range(600):
        asked = account.required(FLOOR, window * 100.0)
        for n in range(50):
            now_s = window * 100.0 + n
            right.append(float(random.random() < asked - 0.015))
            account.record_grade(right[-1], 1.0, decided_s=now_s, now_s=now_s)
    assert np.mean(right[-10_000:]) == pytest.approx(FLOOR, abs=0.01)
    assert np.mean(right[:500]) < FLOOR


def test_a_margin_shrinks_as_grades_come() -> None:
    margins = [margin_for(FLOOR, grades) for grades in (1_000, 10_000, 100_000)]
    assert margins == pytest.approx([0.0156, 0.0049, 0.0016], abs=1e-4)


@given(st.floats(0, 1), st.floats(0, 1e9))
def test_a_margin_leaves_three_quarters_of_the_errors_that_a_floor_allows(
    floor: float, grades: float
) -> None:
    assert 0 <= margin_for(floor, grades) <= MARGIN_PART_MAX * (1 - floor)


def test_without_grades_the_margin_is_the_widest() -> None:
    assert margin_for(FLOOR, 0.0) == pytest.approx(0.025)
    assert FloorAccount(FLOOR).required(FLOOR, 0.0, margin=0.025) == pytest.approx(0.925)


def test_a_plan_with_its_margin_seldom_falls_short_of_the_floor() -> None:
    random, grades = np.random.default_rng(4), 1_000
    asked = FLOOR + margin_for(FLOOR, grades)
    seen = random.binomial(grades, asked, 20_000) / grades
    assert 0.02 < np.mean(seen < FLOOR) < 0.06


def test_what_was_earned_is_spent_only_beyond_the_margin() -> None:
    account = FloorAccount(FLOOR)
    end_s = tell(account, 0.91, 300)
    earned = 3 / HORIZON_GRADES
    asked = [account.required(FLOOR, end_s, margin=margin) for margin in (0.0, earned / 4, 0.01)]
    assert asked == pytest.approx([FLOOR - earned, FLOOR - earned / 2, FLOOR + 0.01], abs=1e-4)


def test_a_debt_is_asked_for_on_top_of_the_margin() -> None:
    account = FloorAccount(FLOOR)
    end_s = tell(account, 0.89, 300)
    asked = account.required(FLOOR, end_s, margin=0.01)
    assert asked == pytest.approx(FLOOR + 0.01 + 3 / HORIZON_GRADES, abs=1e-4)
