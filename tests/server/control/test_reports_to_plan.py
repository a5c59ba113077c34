"""From what callers tell of the models that they asked to what the plan is told."""

import pytest

from server.config.budgets import BudgetConfig
from server.config.classes import ClassConfig
from server.config.models import PriceConfig
from server.routing.catalog import PayloadKind
from server.routing.query import Query
from tests.server.control.told import NOW_S
from tests.server.control.world import World
from tests.server.routing.configs import config, model
from turnout.v1.routing_pb2 import Attempt, Feedback, Outcome, Usage

# An answer of small costs a thousandth of a dollar, one of large a hundredth.
SMALL = model("small", endpoints=(), price=PriceConfig(request_usd=0.001), prior_grades=1)
LARGE = model("large", endpoints=(), price=PriceConfig(request_usd=0.01), prior_grades=1)
ALL = ClassConfig(name="all", default=True, audit_rate=1.0, grades="caller", floor=0.5)
TEAM = BudgetConfig(name="team", amount_usd=1_000, period="day")
TEXT = Query(text="hello", payload_kind=PayloadKind.UNKNOWN)
ANSWERED, FAILED = Usage(input_tokens=100), Usage(failed=True)


def world() -> World:
    return World(config(SMALL, LARGE, classes=(ALL,), budgets=(TEAM,)), {}, NOW_S)


def right(grade: float) -> list[Feedback]:
    return [Feedback(metric="quality", value=grade)]


def fallback(decision_id: str, grade: float) -> Outcome:
    """Small failed and large answered."""
    attempts = [Attempt(model="small"), Attempt(model="large")]
    return Outcome(
        decision_id=decision_id, usage=ANSWERED, attempts=attempts, feedback=right(grade)
    )


def spent_nano_usd(found: World) -> int:
    return found.knowledge.spending.states(window_s=5, now_s=NOW_S)["team"].spent_nano_usd


def accuracy(found: World, name: str) -> float:
    found.corridor.step(NOW_S)
    return found.corridor.accuracy[name].mean


def test_the_grade_of_a_fallback_is_that_of_the_model_that_answered() -> None:
    found = world()
    for n in range(700):  # small is right in six of seven, 85.7 %
        outcome = Outcome(decision_id=found.routed(TEXT), usage=ANSWERED, feedback=right(n % 7 > 0))
        assert found.report(outcome) == ""
    assert accuracy(found, "small") == pytest.approx(0.857, abs=0.002)
    for _ in range(220):
        assert found.report(fallback(found.routed(TEXT), 1.0)) == ""
    # Booked on the first model, these made 89.1 % of it.
    assert accuracy(found, "small") == pytest.approx(0.857, abs=0.002)
    assert accuracy(found, "large") == pytest.approx(1.0, abs=0.01)


def test_the_money_of_a_fallback_is_what_the_model_that_answered_charges() -> None:
    found = world()
    found.report(fallback(found.routed(TEXT), 1.0))
    assert spent_nano_usd(found) == 10_000_000
    assert found.knowledge.totals["all", "large"].input_tokens == 100
    assert found.knowledge.totals["all", "small"].cost_nano_usd == 0


def test_the_plan_is_told_what_requests_cost_that_begin_with_a_model_that_fails() -> None:
    found = world()
    for _ in range(2_000):
        found.report(fallback(found.routed(TEXT), 1.0))
    small, large = found.window().problem.cost_nano_usd[0]
    assert small == pytest.approx(10_000_000, rel=0.02)
    assert large == pytest.approx(10_000_000, rel=0.02)


def test_what_has_no_usage_yet_is_told_beside_what_is_spent() -> None:
    found = world()
    ids = [found.routed(TEXT) for _ in range(5)]
    found.window()
    found.report(Outcome(decision_id=ids[0], usage=ANSWERED))
    found.report(fallback(ids[1], 1.0))
    found.report(Outcome(decision_id=ids[1], usage=ANSWERED))  # a duplicate
    found.report(Outcome(decision_id=ids[2], feedback=right(1.0)))  # says nothing of usage
    state = found.knowledge.spending.states(window_s=5, now_s=NOW_S)["team"]
    assert state.spent_nano_usd == 11_000_000
    # Each was expected to cost what small charges.
    assert (state.unreported, state.unreported_nano_usd) == (3, 3_000_000)
    hour = found.knowledge.last_hour.of(("model", "small"), now_s=NOW_S)
    assert (hour.unreported, hour.unreported_nano_usd) == (3, 3_000_000)


def test_a_report_that_is_quicker_than_the_workers_count_leaves_nothing_over() -> None:
    found = world()
    found.report(Outcome(decision_id=found.routed(TEXT), usage=ANSWERED))
    states = found.knowledge.spending.states(window_s=5, now_s=NOW_S)
    assert states["team"].unreported == 0
    found.window()
    assert found.knowledge.spending.states(window_s=5, now_s=NOW_S)["team"].unreported == 0
    assert found.knowledge.last_hour.of(("model", "small"), now_s=NOW_S).unreported == 0


async def test_what_infer_forwards_is_never_unreported() -> None:
    found = World(config(model("small"), budgets=(TEAM,)), {"small": lambda _: (0.01, None)}, NOW_S)
    await found.infer(3)
    found.window()
    assert found.knowledge.spending.states(window_s=5, now_s=NOW_S)["team"].unreported == 0
