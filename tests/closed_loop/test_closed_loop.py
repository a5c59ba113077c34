"""What the plan promises is what happens: from an attempt to a plan and back, but for the wire."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given

from tests.closed_loop.agreement import COMPARISONS_MAX, CREDIT, GRADES_CREDIT, samples
from tests.closed_loop.capacity import uses
from tests.closed_loop.length import TIMEOUT_S, stories
from tests.closed_loop.money import heard_of, lost_at_most
from tests.closed_loop.promises import (
    CELL_CREDIT_MAX,
    CLASS_CREDIT_MAX,
    PLAN_LATE_S,
    SHED_DEBT_MAX,
    TENANT_DEBT_MAX,
    Promises,
    refused_by_plan,
)
from tests.closed_loop.scenario import Scenario
from tests.closed_loop.scenarios import (
    AUDIT_RATE,
    OVERLOAD_S,
    STEADY_S,
    overloads,
    scenarios,
    steady,
)
from tests.closed_loop.service import tell
from tests.closed_loop.story import End, Story

pytestmark = pytest.mark.timeout(TIMEOUT_S)

_IN_MEMORY = Path("/dev/shm")  # where there is one, what is kept need not wait for a disk


def told(scenario: Scenario) -> Story:
    """What happens, in a folder of its own."""
    beside = _IN_MEMORY if _IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        return tell(scenario, Path(folder))


@stories(2)
@given(scenarios())
def test_a_story_is_told_the_same_way_twice(scenario: Scenario) -> None:
    once, again = told(scenario), told(scenario)
    assert (once.requests, once.attempts, once.picks) == (
        again.requests,
        again.attempts,
        again.picks,
    )
    assert once.last == again.last


@stories(10)
@given(scenarios())
def test_workers_do_what_the_plan_in_force_promised(scenario: Scenario) -> None:
    promises_are_kept(told(scenario))


@stories(10)
@given(scenarios())
def test_money_counted_is_what_attempts_cost_whoever_was_killed(scenario: Scenario) -> None:
    all_money_is_counted(told(scenario))


@stories(10)
@given(scenarios())
def test_no_model_ever_has_more_in_flight_than_it_takes(scenario: Scenario) -> None:
    story = told(scenario)
    for law in scenario.models:
        assert law.concurrent is None or story.peak(law) <= law.concurrent, law


@stories(5)
@given(overloads())
def test_of_too_much_models_get_what_they_take_and_the_high_class_all_of_it(
    scenario: Scenario,
) -> None:
    story = told(scenario)
    promises_are_kept(story)
    for use in uses(story, after_s=OVERLOAD_S / 3):
        assert use.begun == pytest.approx(use.fits, abs=use.error), use.model
    settled_s = story.requests[0].begun_s + OVERLOAD_S / 3
    late = [request for request in story.requests if request.begun_s > settled_s]
    assert {r.end for r in late if r.traffic_class == "high"} == {End.ANSWERED}
    assert {r.end for r in late if r.traffic_class == "low"} == {End.ANSWERED, End.REFUSED}


@stories(4)
@given(steady())
def test_what_a_plan_expects_is_what_happens_on_steady_traffic(scenario: Scenario) -> None:
    estimates_agree(told(scenario))


def promises_are_kept(story: Story) -> None:
    credit_stays_small(story)
    sheds_as_planned(story)
    tenants_are_shed_alike(story)
    nothing_starves_unnamed(story)
    nobody_asks_who_is_drained(story)
    plans_reach_workers(story)


def credit_stays_small(story: Story) -> None:
    for pick, of_class, of_cell in Promises(story).credits():
        assert of_class < CLASS_CREDIT_MAX, pick
        assert of_cell < CELL_CREDIT_MAX, pick


def sheds_as_planned(story: Story) -> None:
    for request, owed, left in Promises(story).debts():
        assert left <= SHED_DEBT_MAX, request
        assert owed >= 0.0 or not refused_by_plan(request), request


def tenants_are_shed_alike(story: Story) -> None:
    for request, owed in Promises(story).tenants():
        assert abs(owed) <= TENANT_DEBT_MAX, request


def nothing_starves_unnamed(story: Story) -> None:
    assert not list(Promises(story).undue_refusals())


def nobody_asks_who_is_drained(story: Story) -> None:
    for change in story.drained:
        known_s = story.known_s(change.from_s, PLAN_LATE_S)
        for attempt in story.attempts:
            is_late = story.requests[attempt.request].begun_s > known_s
            assert not (is_late and attempt.model.name == change.model), attempt


def plans_reach_workers(story: Story) -> None:
    assert not list(Promises(story).outdated())


def estimates_agree(story: Story) -> None:
    compared = samples(story, after_s=STEADY_S / 2)
    assert {name for name, _, _ in compared} >= {"cost", "miss", "accuracy"}
    assert len(compared) <= COMPARISONS_MAX / 5
    for (name, cell, model), sample in compared.items():
        graded = name == "accuracy"
        bound = sample.bound(GRADES_CREDIT, AUDIT_RATE) if graded else sample.bound(CREDIT, 1.0)
        assert sample.error() <= bound, (name, cell, model)


def all_money_is_counted(story: Story) -> None:
    assert story.last is not None
    for budget in story.last.budgets:
        missing = heard_of(story, budget.name) - budget.spent_nano_usd
        assert 0 <= missing <= lost_at_most(story, budget.name), budget.name
