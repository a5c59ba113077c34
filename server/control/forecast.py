"""What a budget comes to by the end of its period, if every hour costs what the last one would."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from server.control.budgets import BudgetState, period
from server.control.hourly import HOUR_S
from server.money import usd
from turnout.v1 import admin_pb2 as pb

# Beyond this many hours a budget is not used up in a period that we know.
_HOURS_MAX = 24.0 * 31


class Forecast(NamedTuple):
    """What a budget comes to."""

    end_s: float  # of its period
    expected_nano_usd: int  # spent by then
    text: str


def forecast(state: BudgetState, *, cost_nano_usd_per_hour: float, now_s: float) -> Forecast:
    """Says what will be left, or that the budget is not enough: never both."""
    _, end_s = period(state.period, now_s)
    to_come = cost_nano_usd_per_hour * (end_s - now_s) / HOUR_S
    expected = state.spent_nano_usd + state.unreported_nano_usd + round(to_come)
    return Forecast(end_s, expected, _text(state, expected, cost_nano_usd_per_hour, now_s, end_s))


def is_short(budget: pb.PlanBudget) -> bool:
    """Whether it is not enough for its period."""
    return budget.expected_nano_usd > budget.amount_nano_usd


def _text(
    state: BudgetState, expected_nano_usd: int, per_hour: float, now_s: float, end_s: float
) -> str:
    name, end = f"budget {state.name}", f"its {state.period} ends {_when(end_s, now_s)}"
    left = state.amount_nano_usd - state.spent_nano_usd - state.unreported_nano_usd
    if expected_nano_usd <= state.amount_nano_usd:
        return f"{name} will have {usd(state.amount_nano_usd - expected_nano_usd)} left when {end}"
    if left <= 0:
        spent = f"{usd(state.spent_nano_usd)} of {usd(state.amount_nano_usd)} is spent"
        return f"{name} is used up: {spent}{_unreported(state)}, and {end}"
    missing = usd(expected_nano_usd - state.amount_nano_usd)
    used_up_s = now_s + min(left / per_hour, _HOURS_MAX) * HOUR_S
    return (
        f"{name} will be used up {_when(used_up_s, now_s)}, before {end}: it has {usd(left)} left"
        f"{_after(state)}, this mix costs {usd(per_hour)} an hour, so {missing} is missing"
    )


def _unreported(state: BudgetState) -> str:
    more = usd(state.unreported_nano_usd)
    return f", another {more} is not reported yet" if state.unreported_nano_usd else ""


def _after(state: BudgetState) -> str:
    """What callers have not reported yet is gone from what is left."""
    return " after what is not reported yet" if state.unreported_nano_usd else ""


def _when(then_s: float, now_s: float) -> str:
    """ "at 21:40 UTC"; on another day "on 3 December at 21:40 UTC"."""
    then, now = (datetime.fromtimestamp(s, UTC) for s in (then_s, now_s))
    clock = f"at {then:%H:%M} UTC"
    if then.date() == now.date():
        return clock
    if then == (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0):
        return "at midnight UTC"
    return f"on {then.day} {then:%B} {clock}"
