from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizer.estimate.accuracy import AccuracyEstimate
from optimizer.problem import Resource
from optimizer.solution import Breach, Certificate
from optimizer.step_prices import StepPrice
from server.control.budgets import BudgetState
from server.control.knowledge import Knowledge
from server.control.plan import plan_message, step_price_messages
from server.control.promises import add_promises
from tests.server.control.planned import solution, window
from tests.server.control.told import CHAT, CODE, NOW_S, push, service, stats
from turnout.v1 import admin_pb2 as pb

COSTS = (1_000_000.0, 10_000_000.0)
TEAM = BudgetState("team", "day", 240_000_000_000, 5_000_000_000, 1_000_000.0)
WINDOWS_A_DAY = 86_400 / 5


def plan(**given: Any) -> pb.Plan:
    """Half the cell on each model, 10 requests in a window of 5 s."""
    found = window((CODE,), demand=[10.0], cost_nano_usd=[COSTS], budgets={"team": TEAM})
    answer = solution(found, [[0.5, 0.5]], budget_cost_nano_usd=[3e6], **given)
    return plan_message("p1", found, answer, now_s=NOW_S)


def promise(plan: pb.Plan, knowledge: Knowledge) -> None:
    add_promises(plan, knowledge.take_given(NOW_S, 5.0), AccuracyEstimate({}))


def test_a_cell_tells_its_rate_and_what_each_share_brings() -> None:
    (cell,) = plan().cells
    assert cell.cell.traffic_class == "code"
    assert cell.requests_per_s == 2.0
    assert [(s.model, s.share, s.cost_nano_usd) for s in cell.shares] == [
        ("small", 0.5, 1_000_000),
        ("large", 0.5, 10_000_000),
    ]
    assert {(s.accuracy, s.miss) for s in cell.shares} == {(0.9, 0.05)}


def test_money_is_told_by_the_day() -> None:
    found = plan()
    assert found.cost_nano_usd_per_day == round(5e6 * WINDOWS_A_DAY)
    assert found.classes[0].cost_nano_usd_per_day == round(5e6 * WINDOWS_A_DAY)
    assert found.budgets[0].cost_nano_usd_per_day == round(3e6 * WINDOWS_A_DAY)
    assert found.budgets[0].pace_nano_usd_per_day == round(1e6 * WINDOWS_A_DAY)


def test_the_best_model_alone_is_told_beside_the_mix() -> None:
    assert plan().best_model_cost_nano_usd_per_day > 0


def test_a_budget_is_told_with_what_is_expected_beside_what_is_spent() -> None:
    team = replace(TEAM, unreported=7, unreported_nano_usd=7_000_000)
    found = window((CODE,), demand=[10.0], cost_nano_usd=[COSTS], budgets={"team": team})
    answer = solution(found, [[0.5, 0.5]], budget_cost_nano_usd=[3e6])
    (told,) = plan_message("p1", found, answer, now_s=NOW_S).budgets
    assert (told.unreported, told.unreported_nano_usd) == (7, 7_000_000)
    assert told.spent_nano_usd == 5_000_000_000


def test_a_budget_binds_where_its_pace_has_a_price_or_is_exceeded() -> None:
    exceeded = (Breach("pace", "team", 1e6, 2e6),)
    assert not plan(duals={"pace:team": 1e-12}).budgets[0].binds
    assert plan(duals={"pace:team": 0.3}).budgets[0].binds
    assert plan(breaches=exceeded).budgets[0].binds


def test_a_breach_says_in_a_sentence_what_was_possible() -> None:
    (breach,) = plan(breaches=(Breach("floor", "code", 0.85, 0.83),)).breaches
    assert (breach.kind, breach.name, breach.bound, breach.best) == ("floor", "code", 0.85, 0.83)
    assert "85%" in breach.text
    assert "83%" in breach.text


def test_a_floor_is_breached_as_configured_whatever_its_account_asks() -> None:
    (breach,) = plan(breaches=(Breach("floor", "code", 0.87, 0.83),)).breaches
    assert breach.bound == 0.85
    assert not plan(breaches=(Breach("floor", "code", 0.87, 0.86),)).breaches


def test_a_pace_is_breached_by_dollars_a_day() -> None:
    (breach,) = plan(breaches=(Breach("pace", "team", 1e6, 2e6),)).breaches
    assert breach.bound == pytest.approx(1e6 * WINDOWS_A_DAY)
    assert breach.best == pytest.approx(2e6 * WINDOWS_A_DAY)


def test_what_is_shed_is_told_of_the_cell_and_the_class() -> None:
    found = plan(shed=[0.25])
    assert found.cells[0].shed == found.classes[0].shed == 0.25


def test_what_is_shed_says_what_binds() -> None:
    found = window((CODE,), demand=[10.0], cost_nano_usd=[COSTS])
    scarce = Resource("small", np.array([[1.0, 0.0]]), 5.0)
    found = replace(found, problem=replace(found.problem, resources=[scarce]))
    half = solution(
        found, [[0.5, 0.0]], shed=[0.5], breaches=(Breach("capacity", "code", 1.0, 0.5),)
    )
    (breach,) = plan_message("p1", found, half, now_s=NOW_S).breaches
    assert breach.text == (
        "class code: 50% of the requests do not fit and are refused: capacity of small is used up"
    )


@pytest.mark.parametrize(
    ("shed", "binds"),
    [
        ([0.0, 0.9], "capacity of large"),
        ([0.9, 0.9], "capacity of small and capacity of large"),
    ],
)
def test_a_class_of_two_pools_says_what_binds_of_either(shed: list[float], binds: str) -> None:
    kinds = [CODE._replace(kind=kind) for kind in ("text", "tensors")]
    found = window(kinds, demand=[10.0, 10.0], cost_nano_usd=[COSTS, COSTS])
    models = np.eye(2)
    resources = [
        Resource(name, models * models[m], 1.0) for m, name in enumerate(("small", "large"))
    ]
    problem = replace(
        found.problem, allowed=models > 0, resources=resources, pools=np.array([0, 1])
    )
    found = replace(found, problem=problem)
    served = [[1 - shed[0], 0.0], [0.0, 1 - shed[1]]]
    breach = Breach("capacity", "code", 1.0, 0.5)
    message = plan_message(
        "p1", found, solution(found, served, shed=shed, breaches=(breach,)), now_s=NOW_S
    )
    assert [cell.shed for cell in message.cells] == shed
    assert message.breaches[0].text.endswith(f": {binds} is used up")


def test_what_was_refused_of_a_class_is_told_beside_what_the_plan_sheds() -> None:
    knowledge = Knowledge(service())
    knowledge.count_push(
        push(stats(CODE, "small", decided=30), stats(CODE, "", shed=10)), now_s=NOW_S
    )
    found = plan(shed=[0.2])
    promise(found, knowledge)
    assert (found.classes[0].shed, found.classes[0].realised_shed) == (0.2, 0.25)


def test_the_certificate_travels() -> None:
    certificate = plan().certificate
    assert (certificate.duality_gap, certificate.worst_violation) == (1e-12, 2e-12)
    assert certificate.relaxed == "none"
    assert certificate.stopped == ""


def test_a_plan_that_was_stopped_says_so() -> None:
    found = window((CHAT,), demand=[10.0], cost_nano_usd=[COSTS])
    stopped = replace(
        solution(found, [[1.0, 0.0]]), certificate=Certificate(1e-3, 0.0, "slo", "time")
    )
    assert plan_message("p1", found, stopped, now_s=NOW_S).certificate.stopped == "time"


def test_a_class_is_told_with_its_promises_and_what_the_last_hour_made_of_them() -> None:
    knowledge = Knowledge(service())
    knowledge.count_push(push(stats(CODE, "small", completed=10, slo_missed=2)), now_s=NOW_S)
    found = plan()
    promise(found, knowledge)
    (told,) = found.classes
    assert (told.floor, told.required, told.floor_basis) == (0.85, 0.85, "audited")
    assert (told.accuracy, told.within_slo) == (0.9, 0.95)
    assert (told.slo_fraction, told.realised_within_slo) == (0.9, 0.8)
    assert told.realised_accuracy.grades == 0


def test_a_class_without_promises_says_so() -> None:
    found = window((CHAT,), demand=[10.0], cost_nano_usd=[COSTS])
    message = plan_message("p1", found, solution(found, [[1.0, 0.0]]), now_s=NOW_S)
    promise(message, Knowledge(service()))
    (told,) = message.classes
    assert (told.floor, told.floor_basis, told.slo_fraction) == (0.0, "none", 0.0)
    assert told.realised_within_slo == 1.0


def test_a_floor_without_grades_is_assumed() -> None:
    classes = ({"name": "code", "default": True, "floor": 0.85},)
    found = plan()
    promise(found, Knowledge(service(classes=classes)))
    assert found.classes[0].floor_basis == "assumed"


def test_a_step_that_cannot_be_met_has_no_cost() -> None:
    prices = [StepPrice("floor", "code", 0.01, 2_400_000_000), StepPrice("floor", "code", 0.2)]
    found = window((CODE,), demand=[1.0], cost_nano_usd=[COSTS])
    met, unmet = step_price_messages(found, prices, prices)
    assert (met.cost_nano_usd_per_day, met.cost_nano_usd_per_hour) == (2_400_000_000, 100_000_000)
    assert not unmet.HasField("cost_nano_usd_per_day")
    assert not unmet.HasField("cost_nano_usd_per_hour")
    assert met.text != unmet.text


def test_a_step_is_priced_for_a_day_like_this_moment_beside_an_hour_like_the_last() -> None:
    found = window((CODE,), demand=[1.0], cost_nano_usd=[COSTS])
    of_hour = [StepPrice("floor", "code", 0.01, 2_400_000_000)]
    of_moment = [
        StepPrice("floor", "code", 0.01, 9_000_000_000),
        StepPrice("capacity", "small", -4.0, 7_000_000_000),
    ]
    both, of_now = step_price_messages(found, of_hour, of_moment)
    assert (both.cost_nano_usd_per_day, both.cost_nano_usd_per_hour) == (9_000_000_000, 100_000_000)
    assert "$0.10 an hour" in both.text
    assert (of_now.cost_nano_usd_per_day, of_now.text) == (7_000_000_000, "")
    assert not of_now.HasField("cost_nano_usd_per_hour")


@pytest.mark.parametrize(
    ("required", "text"),
    [
        (0.8503, ""),
        (0.8875, "planned for 88.8%, above its floor, for none of its answers has been graded yet"),
        (0.9, "planned for 90.0%, above its floor, for its answers fell short of the floor before"),
        (
            0.84,
            "planned for 84.0%, below its floor, for its answers were better than the floor before",
        ),
    ],
)
def test_a_class_says_why_the_plan_aims_at_another_accuracy_than_its_floor(
    required: float, text: str
) -> None:
    found = plan()
    found.classes[0].required = required
    promise(found, Knowledge(service()))
    assert found.classes[0].required_text == text


def test_a_class_that_cannot_reach_what_is_aimed_at_says_what_it_reaches() -> None:
    found = plan()
    found.classes[0].required, found.classes[0].accuracy = 0.9, 0.87
    promise(found, Knowledge(service()))
    why = "to reach 90.0%, above its floor, for its answers fell short of the floor before"
    assert found.classes[0].required_text == f"{why}: 87.0% is the best that is known"


def test_a_class_says_of_how_many_requests_it_is_known_how_they_ended() -> None:
    knowledge, found = Knowledge(service()), plan()
    promise(found, knowledge)
    assert found.classes[0].realised_requests == 0
    knowledge.count_push(push(stats(CODE, "small", decided=9, completed=4)), now_s=NOW_S)
    promise(found, knowledge)
    assert found.classes[0].realised_requests == 4
