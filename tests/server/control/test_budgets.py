from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from server.config.budgets import BudgetConfig
from server.control.budgets import PACE_MIN, BudgetState, Spending, period
from server.routing.counters import Counts

USD = 1_000_000_000


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def budget(name: str = "team", amount_usd: float = 24.0, kind: str = "day") -> BudgetConfig:
    return BudgetConfig.model_validate({"name": name, "amount_usd": amount_usd, "period": kind})


def spending(*budgets: BudgetConfig) -> Spending:
    found = Spending()
    found.configure(budgets)
    return found


def state(found: Spending, now_s: float, name: str = "team", window_s: float = 5.0) -> BudgetState:
    return found.states(window_s=window_s, now_s=now_s)[name]


@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        ("hour", "2024-02-29T13:00", "2024-02-29T14:00"),
        ("day", "2024-02-29T00:00", "2024-03-01T00:00"),
        ("week", "2024-02-26T00:00", "2024-03-04T00:00"),
        ("month", "2024-02-01T00:00", "2024-03-01T00:00"),
    ],
)
def test_periods_begin_and_end_in_utc(kind: str, start: str, end: str) -> None:
    assert period(kind, at("2024-02-29T13:37:11")) == (at(start), at(end))


@given(
    kind=st.sampled_from(["hour", "day", "week", "month"]),
    now_s=st.floats(min_value=0, max_value=4e9),
)
def test_every_instant_is_in_its_period_and_the_next_begins_where_it_ends(
    kind: str, now_s: float
) -> None:
    start_s, end_s = period(kind, now_s)
    assert start_s <= now_s < end_s
    assert period(kind, end_s)[0] == end_s


def test_a_request_is_charged_to_every_budget_its_payer_names() -> None:
    now_s = at("2024-07-02T10:00")
    found = spending(budget("a"), budget("b"), budget("c"))
    found.spend("a+b", 3 * USD, now_s=now_s)
    spent = {n: s.spent_nano_usd for n, s in found.states(window_s=5.0, now_s=now_s).items()}
    assert spent == {"a": 3 * USD, "b": 3 * USD, "c": 0}


@pytest.mark.parametrize("payer", ["-", "gone", "gone+team2"])
def test_a_payer_without_a_known_budget_charges_nobody(payer: str) -> None:
    found = spending(budget())
    found.spend(payer, USD, now_s=0.0)
    assert state(found, 0.0).spent_nano_usd == 0


def test_a_new_period_begins_with_nothing_spent() -> None:
    found = spending(budget())
    found.spend("team", USD, now_s=at("2024-07-02T23:59:59"))
    assert state(found, at("2024-07-02T23:59:59")).spent_nano_usd == USD
    assert state(found, at("2024-07-03T00:00:00")).spent_nano_usd == 0


def test_the_pace_is_what_is_left_over_the_rest_of_the_period() -> None:
    found = spending(budget(amount_usd=24.0))
    noon_s = at("2024-07-02T12:00")
    found.spend("team", 6 * USD, now_s=noon_s)
    assert state(found, noon_s).pace_nano_usd_per_s == pytest.approx(18 * USD / (12 * 3_600))


def test_a_spent_budget_keeps_a_small_pace_for_the_floors_have_to_hold() -> None:
    found = spending(budget(amount_usd=24.0))
    noon_s = at("2024-07-02T12:00")
    found.spend("team", 30 * USD, now_s=noon_s)
    assert state(found, noon_s).pace_nano_usd_per_s == pytest.approx(PACE_MIN * USD / 3_600)


def test_the_last_instant_of_a_period_is_not_worth_all_that_is_left() -> None:
    found = spending(budget(amount_usd=24.0))
    last_s = at("2024-07-02T23:59:59.999")
    assert state(found, last_s, window_s=5.0).pace_nano_usd_per_s == pytest.approx(24 * USD / 5)


def test_a_changed_amount_keeps_what_was_spent() -> None:
    found = spending(budget(amount_usd=24.0))
    found.spend("team", 6 * USD, now_s=0.0)
    found.configure((budget(amount_usd=12.0),))
    assert state(found, 0.0).amount_nano_usd == 12 * USD
    assert state(found, 0.0).spent_nano_usd == 6 * USD


def test_what_was_spent_outlives_the_process() -> None:
    before = spending(budget())
    before.spend("team", 6 * USD, now_s=0.0)
    after = spending(budget())
    after.restore(before.to_plain())
    assert state(after, 0.0).spent_nano_usd == 6 * USD


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"team": 3}'])
def test_something_else_than_what_was_kept_is_refused(text: bytes) -> None:
    with pytest.raises(ValidationError):
        Spending().restore_json(text)


def test_what_is_expected_is_told_until_usage_comes_and_is_not_spent() -> None:
    found, now_s = spending(budget()), at("2024-07-02T10:00")
    found.expect(
        "team", Counts(unreported=2, unreported_nano_usd=3 * USD), made_s=now_s, now_s=now_s
    )
    came = Counts(unreported=-1, unreported_nano_usd=-USD)
    found.expect("team", came, made_s=now_s, now_s=now_s + 60)
    state_then = state(found, now_s + 60)
    assert (state_then.unreported, state_then.unreported_nano_usd) == (1, 2 * USD)
    assert state_then.spent_nano_usd == 0
    again = spending(budget())
    again.restore(found.to_plain())
    assert state(again, now_s + 60) == state_then


def test_usage_of_an_earlier_period_takes_nothing_off_this_one() -> None:
    found, now_s = spending(budget()), at("2024-07-03T00:00:10")
    found.expect("team", Counts(unreported=1, unreported_nano_usd=USD), made_s=now_s, now_s=now_s)
    came = Counts(unreported=-1, unreported_nano_usd=-USD)
    found.expect("team", came, made_s=at("2024-07-02T23:59:59"), now_s=now_s)
    assert state(found, now_s).unreported == 1


def test_what_an_older_file_does_not_say_is_not_expected() -> None:
    found, now_s = spending(budget()), at("2024-07-02T10:00")
    found.restore_json(b'{"team": {"start_s": %d, "nano_usd": 7}}' % at("2024-07-02T00:00"))
    assert (state(found, now_s).spent_nano_usd, state(found, now_s).unreported) == (7, 0)


def test_what_a_budget_has_to_pay_after_it_left_is_there_when_it_returns() -> None:
    now_s = at("2024-07-02T10:00")
    found = spending(budget())
    found.spend("team", 3, now_s=now_s)
    found.configure(())
    found.spend("team", 4, now_s=now_s + 1)  # decided before, and answered or reported since
    found.configure((budget(),))
    assert state(found, now_s + 2).spent_nano_usd == 7


def test_a_budget_whose_period_gets_longer_has_spent_what_it_had() -> None:
    now_s = at("2024-07-02T10:30")
    found = spending(budget(kind="hour"))
    found.spend("team", 3, now_s=now_s)
    found.configure((budget(kind="day"),))
    assert state(found, now_s).spent_nano_usd == 3
    found.spend("team", 4, now_s=now_s)
    assert state(found, at("2024-07-02T23:00")).spent_nano_usd == 7
    assert state(found, at("2024-07-03T00:00")).spent_nano_usd == 0
