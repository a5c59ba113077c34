from dataclasses import replace

import pytest

from server.control.budgets import BudgetState
from server.control.forecast import forecast

USD = 1_000_000_000
NOON_S = 1_719_835_200.0  # Monday 1 July 2024, 12:00 UTC


def text(
    spent: float, per_hour: float, *, period: str = "day", amount: int = 40, unreported: int = 0
) -> str:
    state = BudgetState("team", period, amount * USD, round(spent * USD), 0.0)
    state = replace(state, unreported=7 * unreported, unreported_nano_usd=unreported * USD)
    return forecast(state, cost_nano_usd_per_hour=per_hour * USD, now_s=NOON_S).text


def test_what_is_spent_by_the_end_is_what_is_spent_and_what_is_to_come() -> None:
    state = BudgetState("team", "day", 40 * USD, 12 * USD, 0.0)
    found = forecast(state, cost_nano_usd_per_hour=2 * USD, now_s=NOON_S)
    assert found.expected_nano_usd == 36 * USD
    assert found.end_s == NOON_S + 12 * 3_600


def test_a_budget_that_is_enough_says_what_will_be_left_and_when() -> None:
    assert text(12, 2) == "budget team will have $4.00 left when its day ends at midnight UTC"


def test_a_budget_that_is_just_enough_leaves_nothing_and_is_not_called_short() -> None:
    assert text(16, 2) == "budget team will have $0.00 left when its day ends at midnight UTC"


def test_a_budget_that_is_not_enough_says_when_it_is_used_up() -> None:
    assert text(35, 2) == (
        "budget team will be used up at 14:30 UTC, before its day ends at midnight UTC: it has "
        "$5.00 left, this mix costs $2.00 an hour, so $19.00 is missing"
    )


def test_a_budget_that_is_used_up_says_what_is_spent() -> None:
    assert text(45, 2) == (
        "budget team is used up: $45.00 of $40.00 is spent, and its day ends at midnight UTC"
    )


def test_what_callers_have_not_reported_is_not_left_over() -> None:
    assert "will have $3.00 left" in text(12, 2, unreported=1)
    assert "it has $3.00 left after what is not reported yet, this mix" in text(35, 2, unreported=2)
    assert "$23.00 is missing" in text(35, 2, unreported=4)
    assert "$35.00 of $40.00 is spent, another $6.00 is not reported yet, and its day" in (
        text(35, 0, unreported=6)
    )


def test_another_day_is_named() -> None:
    assert text(30, 0.1, period="week") == (
        "budget team will be used up on 5 July at 16:00 UTC, before its week ends on 8 July at "
        "00:00 UTC: it has $10.00 left, this mix costs $0.10 an hour, so $5.60 is missing"
    )


@pytest.mark.parametrize("period", ["hour", "day", "week", "month"])
def test_a_cost_beyond_all_measure_is_no_error(period: str) -> None:
    assert "will be used up at 12:00 UTC" in text(0, 1e12, period=period)
