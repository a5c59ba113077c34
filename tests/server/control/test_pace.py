"""What a window may spend: shown on a stated week, in which days and hours differ."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from optimizer.estimate.need import NeedEstimate
from server.control.budgets import PACE_MIN, BudgetState, period
from server.control.facts import Given, Told
from server.control.knowledge import Knowledge
from server.control.pace import Money
from tests.server.control.told import CODE, service

HOUR_S, WEEK_HOURS = 3_600.0, 168
MONDAY_S = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
NANO_USD = 1_000_000  # what a request needs
WINDOW_S = 600.0


def per_s(at_s: float) -> float:
    """The stated week: 10 a second at night, 100 from 9 to 17, a third of that on weekends."""
    day, hour = divmod(int((at_s - MONDAY_S) // HOUR_S) % WEEK_HOURS, 24)
    usual = 100.0 if 9 <= hour < 17 else 10.0
    return usual / 3 if day >= 5 else usual


def need(begin_s: float, end_s: float) -> float:
    """Nano-dollars."""
    return sum(
        per_s(at_s) * HOUR_S * NANO_USD for at_s in range(int(begin_s), int(end_s), int(HOUR_S))
    )


class Payer:
    """One budget, whose requests are paid whatever its pace allows."""

    def __init__(self, amount: float, kind: str, needs: NeedEstimate | None = None) -> None:
        self.state = BudgetState("team", kind, round(amount), 0, 0.0)
        self.needs = needs or NeedEstimate()
        self._given = Knowledge(service()).take_given(MONDAY_S, 5.0)

    def window(self, now_s: float, demand: float) -> float:
        """The pace for so many requests."""
        money = self._money(now_s, 0)
        (budget,) = money.budgets(np.array([demand]))
        return budget.pace_nano_usd

    def learn(self, now_s: float, requests: float) -> None:
        self._money(now_s, requests).observe_needs()

    def spend(self, nano_usd: float) -> None:
        self.state = replace(self.state, spent_nano_usd=self.state.spent_nano_usd + round(nano_usd))

    def _money(self, now_s: float, requests: float) -> Money:
        told = Told(asked=Counter({CODE: round(requests)}))
        _, end_s = period(self.state.period, now_s)
        left = self.state.amount_nano_usd - self.state.spent_nano_usd
        even = left / max(end_s - now_s, WINDOW_S)
        given: Given = replace(
            self._given,
            now_s=now_s,
            watched_s=WINDOW_S,
            told=told,
            budgets={"team": replace(self.state, pace_nano_usd_per_s=even)},
        )
        return Money(given, self.needs, [CODE], np.array([float(NANO_USD)]), WINDOW_S)


def learned(weeks: float, kind: str) -> NeedEstimate:
    payer = Payer(1, kind)
    for now_s in windows(MONDAY_S, MONDAY_S + weeks * WEEK_HOURS * HOUR_S):
        payer.learn(now_s + WINDOW_S, per_s(now_s) * WINDOW_S)
    return payer.needs


def windows(begin_s: float, end_s: float) -> Iterable[float]:
    return (begin_s + n * WINDOW_S for n in range(round((end_s - begin_s) / WINDOW_S)))


def spent_per_need(payer: Payer, begin_s: float, end_s: float) -> list[float]:
    """Of each window, where all that the pace allows is spent."""
    found = []
    for now_s in windows(begin_s, end_s):
        requests = per_s(now_s) * WINDOW_S
        pace = payer.window(now_s, requests)
        payer.spend(pace)
        payer.learn(now_s + WINDOW_S, requests)
        found.append(pace / (requests * NANO_USD))
    return found


@pytest.mark.parametrize("day", [1, 4, 5, 6])
def test_a_days_money_is_worth_as_much_at_noon_as_at_night(day: int) -> None:
    begin_s = MONDAY_S + (3 * 7 + day) * 24 * HOUR_S
    end_s = begin_s + 24 * HOUR_S
    payer = Payer(1.3 * need(begin_s, end_s), "day", learned(3 + day / 7, "day"))
    found = spent_per_need(payer, begin_s, end_s)
    assert min(found) > 0.85 * 1.3
    assert max(found) < 1.2 * 1.3


def test_a_weeks_money_lasts_as_long_as_the_week_with_its_weekend() -> None:
    begin_s = MONDAY_S + 3 * WEEK_HOURS * HOUR_S
    end_s = begin_s + WEEK_HOURS * HOUR_S
    payer = Payer(0.8 * need(begin_s, end_s), "week", learned(3, "week"))
    found = spent_per_need(payer, begin_s, end_s)
    assert min(found) > 0.9 * 0.8
    assert max(found) < 1.21 * 0.8
    assert payer.state.spent_nano_usd > 0.98 * payer.state.amount_nano_usd


def test_an_even_pace_would_be_worth_half_at_noon_and_five_times_as_much_at_night() -> None:
    begin_s = MONDAY_S + 22 * 24 * HOUR_S
    amount = 1.3 * need(begin_s, begin_s + 24 * HOUR_S)
    even = amount / (24 * HOUR_S)
    noon, night = (even / (per_s(begin_s + h * HOUR_S) * NANO_USD) for h in (12, 2))
    assert (noon, night) == pytest.approx((0.52, 5.2), rel=0.01)


def test_what_a_quiet_morning_leaves_is_there_in_the_afternoon() -> None:
    begin_s = MONDAY_S + 22 * 24 * HOUR_S
    end_s = begin_s + 24 * HOUR_S
    payer = Payer(need(begin_s, end_s), "day", learned(3 + 1 / 7, "day"))
    paces = []
    for now_s in windows(begin_s, end_s):
        # Half of what usually comes, until noon.
        quiet = 0.5 if now_s < begin_s + 12 * HOUR_S else 1.0
        requests = quiet * per_s(now_s) * WINDOW_S
        pace = payer.window(now_s, requests)
        payer.spend(min(pace, requests * NANO_USD))
        payer.learn(now_s + WINDOW_S, requests)
        paces.append(pace / (requests * NANO_USD))
    assert min(paces[12 * 6 :]) > 1.1


def test_an_exhausted_budget_has_next_to_no_pace_and_a_spent_one_no_less() -> None:
    begin_s = MONDAY_S + 12 * HOUR_S
    payer = Payer(1e12, "day")
    payer.spend(3e12)
    even = 1e12 * WINDOW_S / (24 * HOUR_S)
    assert payer.window(begin_s, 10.0) == pytest.approx(PACE_MIN * even)


def test_what_callers_have_not_reported_is_no_money_that_is_left() -> None:
    payer = Payer(1e12, "day")
    before = payer.window(MONDAY_S, 10.0)
    payer.state = replace(payer.state, unreported_nano_usd=5 * 10**11)
    assert payer.window(MONDAY_S, 10.0) == pytest.approx(before / 2)


def test_where_nobody_asks_the_pace_is_even() -> None:
    payer = Payer(24e12, "day")
    assert payer.window(MONDAY_S, 0.0) == pytest.approx(24e12 * WINDOW_S / (24 * HOUR_S))


def test_the_last_window_spends_what_is_left_and_no_more() -> None:
    payer = Payer(1e12, "day")
    payer.spend(1e12 - 1e9)
    last_s = MONDAY_S + 24 * HOUR_S - 1.0
    assert payer.window(last_s, 1e9) <= 1e9
