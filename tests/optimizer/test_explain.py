"""Sentences that a finance person reads."""

import pytest

from optimizer.explain import breach_text, step_price_text, usd
from optimizer.solution import Breach
from optimizer.step_prices import StepPrice

NANO = 1_000_000_000


@pytest.mark.parametrize(
    ("nano_usd", "text"),
    [
        (0, "$0.00"),
        (4_200, "$0.0000042"),
        (1, "$0.0000000010"),
        (31_000_000, "$0.031"),
        (99_900_000, "$0.100"),
        (500_000_000, "$0.50"),
        (999_900_000, "$1.00"),
        (12_300_000_000, "$12.30"),
        (999 * NANO, "$999.00"),
        (40_100 * NANO, "$40,100"),
        (1_234_567 * NANO, "$1,234,567"),
        (-3_100_000_000, "-$3.10"),
    ],
)
def test_money_is_told_to_the_digits_that_matter(nano_usd: float, text: str) -> None:
    assert usd(nano_usd) == text


@pytest.mark.parametrize(
    ("breach", "text"),
    [
        (
            Breach("floor", "code", 0.95, 0.93),
            "class code: floor 0.95 unreachable, best is 0.93",
        ),
        (
            Breach("floor", "code", 0.95, 0.9496),
            "class code: floor 0.9500 unreachable, best is 0.9496",
        ),
        (
            Breach("slo", "code (team-a)", 0.99, 0.97),
            "class code (team-a): 0.99 within the SLO unreachable, best is 0.97",
        ),
        (
            Breach("capacity", "code", 1.0, 0.88),
            "class code: capacity serves 88 % of the requests at most",
        ),
        (
            Breach("pin", "code: forest at least", 0.05, 0.02),
            "class code: forest at least 0.05 unreachable, best is 0.02",
        ),
        (
            Breach("pace", "team-a", 4e6, 5.2e6),
            "budget team-a: $40.00 a day is not enough, the least that holds every floor is $52.00",
        ),
    ],
)
def test_a_breach_says_what_was_wanted_and_what_is_best(breach: Breach, text: str) -> None:
    assert breach_text(breach, window_s=8.64) == text


def priced(kind: str, step: float, cost_usd: float | None = None, **more: object) -> StepPrice:
    cost = None if cost_usd is None else round(cost_usd * NANO)
    return StepPrice(kind, "x", step, cost, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (priced("floor", 0.01, 3.1), "raising the floor of class x by one point costs $3.10 a day"),
        (
            priced("floor", -0.01, -2),
            "lowering the floor of class x by one point saves $2.00 a day",
        ),
        (priced("floor", 0.01, 0), "raising the floor of class x by one point costs nothing"),
        (priced("floor", 0.01), "raising the floor of class x by one point cannot be met"),
        (
            priced("floor", -0.01),
            "lowering the floor of class x by one point changes what can be met, not only the cost",
        ),
        (
            priced("slo", 0.01, 0.031),
            "keeping one point more of class x within its SLO costs $0.031 a day",
        ),
        (
            priced("slo", 0.005, 1),
            "keeping 0.5 points more of class x within its SLO costs $1.00 a day",
        ),
        (
            priced("slo", -0.01, -7),
            "keeping one point less of class x within its SLO saves $7.00 a day",
        ),
        (priced("capacity", -4.0, 9), "a tenth less capacity of x costs $9.00 a day"),
        (priced("capacity", 4.0, -9), "a tenth more capacity of x saves $9.00 a day"),
        (priced("capacity", -4.0), "a tenth less capacity of x cannot be met"),
    ],
)
def test_a_step_says_what_it_costs_or_saves_in_a_day(price: StepPrice, text: str) -> None:
    assert step_price_text(price) == text


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (
            priced("budget", 0.0, headroom_nano_usd_per_day=41 * NANO),
            "budget x does not bind: $41.00 a day of headroom",
        ),
        (
            priced("budget", 0.0, headroom_nano_usd_per_day=-12 * NANO),
            "budget x lacks $12.00 a day of what holds every floor",
        ),
        (
            priced("budget", 0.0, headroom_nano_usd_per_day=0),
            "budget x binds: the mix keeps to it and leaves nothing",
        ),
        (
            priced("budget", 1.0, accuracy=0.002, traffic_class="y"),
            "with one more dollar a day in budget x class y gains 0.2 points",
        ),
        (
            priced("budget", -0.01, accuracy=-0.01, traffic_class="y"),
            "with $0.010 less a day in budget x class y loses one point",
        ),
        (
            priced("budget", 1.0, -0.3),
            "with one more dollar a day in budget x the whole mix saves $0.30 a day",
        ),
        (
            priced("budget", -1.0, 0.3),
            "with one dollar less a day in budget x the whole mix costs $0.30 a day",
        ),
        (
            priced("budget", 1.0),
            "with one more dollar a day budget x lacks one dollar less",
        ),
    ],
)
def test_a_budget_says_what_a_dollar_changes(price: StepPrice, text: str) -> None:
    assert step_price_text(price) == text
