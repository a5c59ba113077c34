"""What money does to the mix, from requests to a plan and back, with two teams that pay apart."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from optimizer.problem import Floats
from optimizer.solution import Solution
from server.money import NANO_PER_USD
from tests.closed_loop.length import TIMEOUT_S
from tests.closed_loop.scenario import ClassLaw, ModelLaw, Scenario
from tests.closed_loop.service import BEGINS_S, tell
from tests.closed_loop.story import End, Story

pytestmark = pytest.mark.timeout(TIMEOUT_S)

CHEAP = ModelLaw("cheap", request_nano_usd=10_000, accuracy=0.7)
DEAR = ModelLaw("dear", request_nano_usd=100_000, accuracy=0.9)
PER_S = 20.0  # of both teams, each as many
LEFT_S = 86_400 - BEGINS_S % 86_400  # of the day
LASTS_S = 60.0
SETTLED_S = 20.0  # from then on decisions are by a plan that has seen traffic


def usd_for(accuracy: float) -> float:
    """What lasts a team to the end of the day at this accuracy."""
    dear = (accuracy - CHEAP.accuracy) / (DEAR.accuracy - CHEAP.accuracy)
    cost = CHEAP.request_nano_usd * (1 - dear) + DEAR.request_nano_usd * dear
    return PER_S / 2 * cost * LEFT_S / NANO_PER_USD


def story_of(law: ClassLaw, t0_usd: float, t1_usd: float) -> Story:
    scenario = Scenario(
        models=(CHEAP, DEAR),
        classes=(law,),
        budgets_usd={"t0": t0_usd, "t1": t1_usd},
        day_usd=100_000.0,
        lasts_s=LASTS_S,
    )
    with tempfile.TemporaryDirectory() as folder:
        return tell(scenario, Path(folder))


def seen(story: Story, tenant: str) -> float:
    """The mean accuracy of who answered a team, once plans have seen traffic."""
    laws = {law.name: law.accuracy for law in story.scenario.models}
    found = [
        laws[one.answered_by]
        for one in story.requests
        if one.tenant == tenant and one.end is End.ANSWERED and one.begun_s > BEGINS_S + SETTLED_S
    ]
    return sum(found) / len(found)


def planned(story: Story, tenant: str) -> float:
    """The mean over those plans of the accuracy that a team was to get."""
    found = []
    for solve in story.solves:
        if SETTLED_S < solve.at_s - BEGINS_S < LASTS_S:
            assert isinstance(solve.solution, Solution)
            groups = solve.window.problem.groups
            g = next(g for g, one in enumerate(groups) if tenant in one.payer.split("+"))
            found.append(float(solve.solution.accuracy[g]))
    return sum(found) / len(found)


def bill(story: Story, tenant: str) -> int:
    return sum(
        one.cost_nano_usd for one in story.attempts if story.requests[one.request].tenant == tenant
    )


def shares(story: Story, tenant: str) -> Floats:
    """(windows, cells, M) what plans gave a team."""
    found = []
    for solve in story.solves:
        assert isinstance(solve.solution, Solution)
        cells = [i for i, cell in enumerate(solve.window.cells) if tenant in cell.payer.split("+")]
        found.append(solve.solution.shares[cells])
    return np.array(found)


BUYS = ClassLaw("chat", per_s=PER_S, tenants=("t0", "t1"), aim="best_within_budget")
FALLS = ClassLaw("chat", per_s=PER_S, tenants=("t0", "t1"), floor=0.85, floor_when_short=0.75)
EXHAUSTED_USD = 1e-6


def test_a_pace_buys_the_accuracy_that_the_plan_says_and_callers_get() -> None:
    story = story_of(BUYS, usd_for(0.75), usd_for(0.85))
    for tenant, bought in (("t0", 0.75), ("t1", 0.85)):
        assert planned(story, tenant) == pytest.approx(bought, abs=0.015)
        assert seen(story, tenant) == pytest.approx(planned(story, tenant), abs=0.01)
    assert {one.end for one in story.requests} == {End.ANSWERED}


def test_a_floor_falls_where_money_is_short_and_nobody_is_refused() -> None:
    story = story_of(FALLS, EXHAUSTED_USD, usd_for(0.89))
    assert story.last is not None
    texts = {one.payer: one.money_text for one in story.last.classes}
    assert "instead of 85.0%, while budget t0 is short" in texts["all+t0"]
    assert texts["all+t1"] == ""
    assert seen(story, "t0") == pytest.approx(0.75, abs=0.015)
    assert seen(story, "t1") == pytest.approx(0.85, abs=0.015)
    assert {one.end for one in story.requests} == {End.ANSWERED}


@pytest.mark.parametrize("law", [BUYS, FALLS], ids=["buys", "falls"])
def test_one_teams_exhausted_budget_is_nothing_to_the_other(law: ClassLaw) -> None:
    enough = story_of(law, usd_for(0.88), usd_for(0.88))
    exhausted = story_of(law, EXHAUSTED_USD, usd_for(0.88))
    assert bill(exhausted, "t0") < 0.6 * bill(enough, "t0")
    assert seen(exhausted, "t0") < seen(enough, "t0") - 0.05
    assert bill(exhausted, "t1") == pytest.approx(bill(enough, "t1"), rel=0.01)
    assert seen(exhausted, "t1") == pytest.approx(seen(enough, "t1"), abs=0.002)
    # A pace follows what was pushed by then, and with it whose turn it was.
    assert shares(exhausted, "t1") == pytest.approx(shares(enough, "t1"), abs=0.02)
