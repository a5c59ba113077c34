"""What budgets do to the mix: from requests to a plan, and what its page says of it."""

from typing import Any

import pytest
from rich.console import Console

from server.cli.plan_view import plan_view
from server.config.schema import Config
from server.control.corridor import Corridor, Step
from server.control.estimates import Estimates
from server.control.knowledge import Knowledge
from server.routing.catalog import Cell
from tests.server.control.told import CODE, NOW_S, SMALL, answered, push, service
from turnout.v1 import admin_pb2 as pb

LARGE = {
    "name": "large",
    "protocol": "oip",
    "endpoints": ("127.0.0.1:3",),
    "price": {"request_usd": 0.010},
    "prior_accuracy": 0.9,
}
# 20 requests a second: with the small model $1,728 a day, with the large one $17,280.
REQUESTS, CHEAPEST_USD, DEAREST_USD = 100, 1_728.0, 17_280.0


def config(
    amount_usd: float,
    *,
    budget_aim: str = "least_cost",
    domains: tuple[str, ...] = (),
    **of_class: Any,
) -> Config:
    traffic_class = {"name": "code", "default": True, "grades": "none", **of_class}
    budget = {"name": "team", "amount_usd": amount_usd, "period": "day", "aim": budget_aim}
    return service(
        models=(SMALL, LARGE),
        classes=(traffic_class,),
        budgets=(budget,),
        domains=tuple({"name": name} for name in domains),
    )


def planned(of: Config, *cells: Cell) -> pb.Plan:
    """The plan of one window, told at the beginning of a day."""
    midnight_s = NOW_S - NOW_S % 86_400
    knowledge = Knowledge(of)
    knowledge.count_push(
        push(*(answered(cell, "small", REQUESTS) for cell in cells or (CODE,))),
        now_s=midnight_s + 5,
    )
    corridor = Corridor(knowledge, Estimates(), epoch=0, begun_s=midnight_s)
    step: Step = corridor.step(midnight_s + 5)
    assert step.draft is not None, step.failure
    return step.draft.plan


def page(plan: pb.Plan) -> str:
    console = Console(width=1_000, _environ={})
    with console.capture() as capture:
        console.print(plan_view(plan, now_s=NOW_S))
    return capture.get()


def accuracy(plan: pb.Plan) -> float:
    return plan.classes[0].accuracy


@pytest.mark.parametrize("by", ["class", "budget"])
def test_a_class_or_a_payer_gets_the_accuracy_that_its_pace_buys(by: str) -> None:
    half_usd = (CHEAPEST_USD + DEAREST_USD) / 2
    best = "best_within_budget"
    of = config(half_usd, aim=best) if by == "class" else config(half_usd, budget_aim=best)
    plan = planned(of)
    (found,) = plan.classes
    # And a little of what the requests so far, which went to the small model, left over.
    assert found.accuracy == pytest.approx(0.8525, abs=0.003)
    assert found.aim == "best_within_budget"
    assert found.accuracy_at_least_cost == pytest.approx(0.8)
    bought = plan.cost_nano_usd_per_hour - found.requests_per_hour * 1_000_000
    assert found.bought_cost_nano_usd_per_hour == pytest.approx(bought, rel=0.01)
    assert (
        f"class code gets the most accuracy that budget team buys: {100 * found.accuracy:.1f}%, "
        "where the cheapest mix would have 80.0% and cost"
    ) in page(plan)
    assert "buys more for its money" in page(plan)


def test_a_class_that_says_so_costs_the_least_whatever_its_budget_seeks() -> None:
    plan = planned(config(1e6, budget_aim="best_within_budget", aim="least_cost"))
    assert accuracy(plan) == pytest.approx(0.8)
    assert plan.classes[0].aim == "least_cost"
    assert "What budgets do to the mix" not in page(plan)


def test_more_money_than_can_be_used_buys_the_best_there_is() -> None:
    plan = planned(config(1e6, aim="best_within_budget"))
    assert accuracy(plan) == pytest.approx(0.9)
    assert "gets the most accuracy that there is, for its money allows it: 90.0%" in page(plan)


def test_a_floor_falls_as_far_as_the_money_asks_and_its_owner_allows() -> None:
    # The floor of 0.86 needs 60 % of the large model.
    need_usd = 0.4 * CHEAPEST_USD + 0.6 * DEAREST_USD
    found = [
        accuracy(planned(config(part * need_usd, floor=0.86, floor_when_short=0.82)))
        for part in (2.0, 0.8, 0.1)
    ]
    assert found[0] == pytest.approx(0.86, abs=1e-6)
    assert 0.825 < found[1] < 0.855
    assert found[2] == pytest.approx(0.82, abs=1e-6)


@pytest.mark.parametrize("part", [2.0, 0.5, 0.1])
def test_a_floor_whose_owner_says_nothing_holds_whatever_is_left(part: float) -> None:
    assert accuracy(planned(config(part * 10_000, floor=0.86))) == pytest.approx(0.86)


def test_the_page_says_what_was_given_up_and_what_the_whole_floor_would_cost() -> None:
    plan = planned(config(1_000, floor=0.86, floor_when_short=0.82))
    text = page(plan)
    assert (
        "class code is planned to be right in 82.0% of its answers instead of 86.0%, while budget "
        "team is short: to hold it would cost"
    ) in text
    assert "its owner lets the floor fall to 82.0%" in text
    assert "gives up less for the money" in text
    assert "Not met" not in text.partition("budget team")[0]
    assert {breach.kind for breach in plan.breaches} == {"short", "pace"}


def test_what_was_given_up_for_money_is_not_owed() -> None:
    midnight_s = NOW_S - NOW_S % 86_400
    knowledge = Knowledge(config(1_000, floor=0.86, floor_when_short=0.82))
    corridor = Corridor(knowledge, Estimates(), epoch=0, begun_s=midnight_s)
    knowledge.count_push(push(answered(CODE, "small", REQUESTS)), now_s=midnight_s + 5)
    corridor.step(midnight_s + 5)
    account = corridor.estimates.accounts["code", "team"]
    for n in range(1_000):
        account.record_grade(0.0, 1.0, decided_s=midnight_s + 6 + n, now_s=midnight_s + 6 + n)
    assert account.required(0.86, midnight_s + 1_100) == pytest.approx(0.86, abs=1e-3)


def test_a_domain_below_its_floor_is_named_with_the_best_that_is_known() -> None:
    of = config(1_000, domains=("law", "sums"), domain_floor=0.88, floor=0.81)
    plan = planned(of, CODE._replace(domain="law"), CODE._replace(domain="sums"))
    (found,) = plan.classes
    assert found.domain_floor == 0.88
    assert accuracy(plan) == pytest.approx(0.88, abs=1e-6)
    row = next(line for line in page(plan).splitlines() if "each domain" in line)
    assert "88.0%" in row


def test_a_domain_that_no_model_is_good_at_is_not_met() -> None:
    of = config(
        1_000,
        domains=("law",),
        domain_floor=0.95,
        explore=True,
        grades="caller",
        audit_rate=0.5,
    )
    plan = planned(of, CODE._replace(domain="law"))
    assert "class code, domain law: 95% of the answers are to be right" in page(plan)
    assert plan.classes[0].explored_of_audits >= 0.0
