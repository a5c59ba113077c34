"""Sentences that a finance person reads."""

from dataclasses import replace

import pytest

from optimizer.problem import Group
from optimizer.solution import Breach
from optimizer.step_prices import StepPrice
from server.control.sentences import breach_text, group_texts, step_price_text
from server.routing.catalog import payer_text

NANO = 1_000_000_000


@pytest.mark.parametrize(
    ("payer", "text"),
    [
        ("-", "no budget"),
        ("team-a", "team-a"),
        ("team-a+team-b", "team-a and team-b"),
        ("a+b+c", "a, b and c"),
    ],
)
def test_payers_are_named_as_people_name_them(payer: str, text: str) -> None:
    assert payer_text(payer) == text


def test_a_class_that_several_pay_for_is_named_with_its_payer() -> None:
    groups = [Group("code", "a+b"), Group("code", "-"), Group("chat", "a")]
    assert group_texts(groups) == (
        "class code (paid by a and b)",
        "class code (paid by no budget)",
        "class chat",
    )


@pytest.mark.parametrize(
    ("breach", "text"),
    [
        (
            Breach("floor", "code", 0.95, 0.93),
            "class code: 95% of the answers are to be right, 93% is the best possible",
        ),
        (
            Breach("floor", "code", 0.95, 0.9496),
            "class code: 95.00% of the answers are to be right, 94.96% is the best possible",
        ),
        (
            Breach("floor", "code", 0.975, 0.93),
            "class code: 97.5% of the answers are to be right, 93.0% is the best possible",
        ),
        (
            Breach("slo", "code", 0.99, 0.97),
            "class code: 99% are to be answered in time, 97% is the best possible",
        ),
        (
            Breach("capacity", "code", 1.0, 0.88),
            "class code: 12% of the requests do not fit and are refused",
        ),
    ],
)
def test_a_breach_says_what_was_wanted_and_what_is_best(breach: Breach, text: str) -> None:
    assert breach_text(breach, "class code", window_s=8.64) == text


def test_a_pin_says_what_share_is_possible() -> None:
    pin = Breach("pin", "code: forest at least", 0.05, 0.02)
    text = breach_text(pin, f"class {pin.name}", window_s=8.64)
    assert text == "class code: forest at least 5% is not possible, 2% is the best possible"


def test_a_pace_says_what_the_least_costs_and_what_is_allowed() -> None:
    text = breach_text(Breach("pace", "a", 4e6, 5.2e6), "budget a", window_s=8.64)
    assert "the cheapest mix that keeps every promise costs $52.00 a day" in text
    assert text.endswith("what is left of it allows $40.00 a day")


def priced(kind: str, step: float, cost_usd: float | None = None, **more: object) -> StepPrice:
    cost = None if cost_usd is None else round(cost_usd * NANO)
    return StepPrice(kind, "x", step, cost, **more)  # type: ignore[arg-type]


FLOOR, IN_TIME = "the accuracy promised to class x", "the part of class x that is promised in time"


@pytest.mark.parametrize(
    ("price", "promised", "text"),
    [
        (
            priced("floor", 0.01, 24),
            0.95,
            f"raising {FLOOR} from 95% to 96% would cost $1.00 an hour",
        ),
        (
            priced("floor", -0.01, -12),
            0.975,
            f"lowering {FLOOR} from 97.5% to 96.5% would save $0.50 an hour",
        ),
        (priced("floor", 0.01, 0), 0.5, f"raising {FLOOR} from 50% to 51% would cost nothing"),
        (priced("floor", 0.01), 0.5, f"raising {FLOOR} from 50% to 51% is not possible"),
        (
            priced("slo", 0.005, 0.24),
            0.99,
            f"raising {IN_TIME} from 99% to 99.5% would cost $0.010 an hour",
        ),
        (
            priced("slo", -0.01, -240),
            0.99,
            f"lowering {IN_TIME} from 99% to 98% would save $10.00 an hour",
        ),
    ],
)
def test_a_step_of_a_promise_says_from_where_to_where_and_what_it_costs_an_hour(
    price: StepPrice, promised: float, text: str
) -> None:
    assert step_price_text(price, promised) == text


@pytest.mark.parametrize(
    ("name", "step", "cost_usd", "text"),
    [
        ("x", -4.0, 24, "10% less capacity of model x (requests a second) would cost $1.00"),
        ("x", 4.0, -24, "10% more capacity of model x (requests a second) would save $1.00"),
        ("x", -4.0, None, "10% less capacity of model x (requests a second) would not be enough"),
        (
            "x (concurrent)",
            -4.0,
            24,
            "10% less capacity of model x (requests at one time) would cost $1.00",
        ),
    ],
)
def test_a_step_of_a_capacity_says_what_it_is_counted_in(
    name: str, step: float, cost_usd: float | None, text: str
) -> None:
    price = replace(priced("capacity", step, cost_usd), name=name)
    assert step_price_text(price).removesuffix(" an hour") == text


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (
            priced("budget", 1.0, -12),
            "$1.00 a day more in budget x would save $0.50 an hour over all budgets",
        ),
        (
            priced("budget", -1.0, 12),
            "$1.00 a day less in budget x would cost $0.50 an hour over all budgets",
        ),
    ],
)
def test_a_budget_says_what_a_dollar_changes(price: StepPrice, text: str) -> None:
    assert step_price_text(price) == text


@pytest.mark.parametrize(
    "price",
    [
        priced("floor", -0.01, 0),
        priced("floor", -0.01),
        priced("capacity", 4.0, 0),
        priced("capacity", 4.0),
        priced("budget", 1.0),
        priced("budget", 1.0, 0),
        priced("budget", 1.0, accuracy=0.002, traffic_class="y"),
    ],
    ids=str,
)
def test_a_step_that_changes_nothing_worth_a_sentence_has_none(price: StepPrice) -> None:
    assert step_price_text(price) == ""
