"""Models that answer otherwise than they did, from their grades to the plan."""

import json

import pytest

from server.config.models import ModelConfig, PriceConfig
from server.control.estimates import Estimates
from server.control.facts import Graded
from server.control.knowledge import Knowledge
from server.control.model_changes import EXPLORED_S, REMEMBERED_MAX, ModelChange, ModelChanges
from tests.server.control.test_exploring import chat
from tests.server.control.told import CODE, NOW_S, SMALL, service
from tests.server.control.trying import Trying
from tests.server.routing.configs import model


def workhorse(name: str, usd: float, prior: float) -> ModelConfig:
    return model(name, price=PriceConfig(request_usd=usd), prior_accuracy=prior)


@pytest.fixture(scope="module")
def settled() -> Trying:
    """A cheap model serves nearly all, and has done so for 1,600 grades."""
    pair = workhorse("cheap", 0.001, 0.8), workhorse("dear", 0.01, 0.9)
    found = Trying(pair, {"cheap": 0.85, "dear": 0.95}, 3, classes=(chat(audit_rate=0.4),))
    found.run(10, requests=400)
    assert found.asked["cheap"] > 0.7 * found.asked.total()
    assert not found.corridor.changed
    return found


def test_a_workhorse_that_gets_worse_is_named_and_left(settled: Trying) -> None:
    settled.right["cheap"] = 0.5
    for _ in range(4):  # some 250 audits of the model
        plan = settled.run(1, requests=200).plan
        if plan.model_changes:
            break
    (change,) = plan.model_changes
    assert change.model == "cheap"
    assert change.text.startswith("model cheap answers otherwise than it did: of its last ")
    assert settled.corridor.changed == {"cheap": 1}
    assert plan.classes[0].explored_of_audits <= 0.8
    settled.run(3, requests=300)
    assert settled.asked["dear"] > 0.7 * settled.asked.total()
    assert settled.corridor.changed == {"cheap": 1}  # told once
    assert settled.corridor.estimates.accuracy.of_model("cheap", settled.now_s).mean < 0.7


def graded(count: int, right: int, name: str = "small") -> Estimates:
    estimates = Estimates()
    knowledge = Knowledge(service())
    for n in range(count):
        told = Graded(CODE, name, float(n < right), 1.0, decided_s=NOW_S, told_s=NOW_S)
        knowledge.facts.add_grade(told)
    estimates.learn(knowledge.take_given(NOW_S, 5.0))
    return estimates


def versioned(version: str) -> Knowledge:
    return Knowledge(service(models=({**SMALL, "version": version},)))


def test_a_new_version_inherits_what_its_elder_was_worth_but_is_less_sure() -> None:
    estimates = graded(1_000, right=300)
    before = estimates.accuracy.bounds([CODE], ["small"], NOW_S)
    estimates.learn(versioned("2").take_given(NOW_S, 5.0))
    low, high = estimates.accuracy.bounds([CODE], ["small"], NOW_S)
    mean = estimates.accuracy.mean([CODE], ["small"], NOW_S)[0, 0]
    assert mean == pytest.approx(0.3, abs=0.1)
    assert high[0, 0] - low[0, 0] > 2 * (before[1] - before[0])[0, 0]
    assert estimates.accuracy.of_model("small", NOW_S).grades == pytest.approx(30, abs=1)


def test_the_same_version_keeps_all_that_it_was_graded() -> None:
    estimates = graded(1_000, right=300)
    known = Estimates.from_plain(json.loads(json.dumps(estimates.to_plain(), default=list)))
    known.configure(service(), NOW_S)
    assert known.accuracy.of_model("small", NOW_S).grades == pytest.approx(1_000)
    known.configure(versioned("2").config, NOW_S)  # the version that it had was kept too
    assert known.accuracy.of_model("small", NOW_S).grades == pytest.approx(30, abs=1)


def test_what_changed_is_told_for_an_hour_and_explored_for_ten_minutes() -> None:
    changes = ModelChanges()
    changes.newest = (ModelChange("small", NOW_S, 0.7, 0.4, 60),)
    assert changes.explored(NOW_S + EXPLORED_S - 1) == {"small"}
    assert changes.explored(NOW_S + EXPLORED_S) == frozenset()
    assert [one.text for one in changes.of_hour(NOW_S + 3_599)] == [
        "model small answers otherwise than it did: of its last 60 graded answers 40% are right, "
        "70% were expected; what was learned of it before is set aside"
    ]
    assert changes.of_hour(NOW_S + 3_600) == []


def test_only_the_newest_changes_are_kept() -> None:
    many = [["m", NOW_S, 0.7, 0.4, 60]] * (REMEMBERED_MAX + 5)
    assert len(ModelChanges.from_plain({"watch": [], "newest": many}).newest) == REMEMBERED_MAX
