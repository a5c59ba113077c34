"""Requests that the plan in force refuses."""

from collections import Counter

import pytest

from server.routing.counters import NO_MODEL, Leg
from server.routing.errors import NoCandidate, Shed
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import WeightTable
from tests.server.routing.routed import CELL, WHY, decide, plan, routed, shed


@pytest.fixture
def router() -> Router:
    return routed()[0]


def test_the_part_of_a_cell_that_a_plan_sheds_is_refused_and_counted_as_asked_for() -> None:
    router, counters = routed()
    shed(router, 0.75, 1.0)
    refusals = []
    for _ in range(100):
        try:
            decide(router)
        except Shed as refusal:
            refusals.append(refusal)
    assert len(refusals) == 75
    assert refusals[0].metadata == {"traffic_class": "chat", "shed": "0.7500", "binds": WHY}
    assert "capacity of small is used up" in str(refusals[0])
    assert counters.get(Leg(CELL, NO_MODEL, NO_MODEL)).shed == 75
    assert counters.get(Leg(CELL, "small", "small")).decided == 25


def test_a_cell_that_is_shed_whole_is_served_neither_by_its_class_nor_by_the_greedy_rule(
    router: Router,
) -> None:
    shed(router, 1.0)
    for _ in range(10):
        with pytest.raises(Shed):
            decide(router)


def test_a_cell_that_the_plan_lacks_is_shed_like_its_kind_in_its_class(router: Router) -> None:
    router.publish(WeightTable("p1", kinds_shed={("chat", "any"): (1.0, WHY)}))
    with pytest.raises(Shed):
        decide(router)


def test_what_a_plan_serves_of_a_cell_that_sheds_may_not_be_used_again(router: Router) -> None:
    plan(router, 1.0)
    assert decide(router).grounds.reuse_for_s > 0
    shed(router, 0.25, 1.0)
    assert decide(router).grounds.reuse_for_s == 0


def test_tenants_are_refused_alike(router: Router) -> None:
    shed(router, 0.5, 1.0)
    refused: Counter[str] = Counter()
    for number in range(200):
        tenant = "large" if number % 4 else "small"
        try:
            decide(router, tenant=tenant)
        except Shed:
            refused[tenant] += 1
    assert refused == {"large": pytest.approx(75, abs=1), "small": pytest.approx(25, abs=1)}


def test_what_no_model_can_answer_is_refused_for_that_and_never_shed(router: Router) -> None:
    shed(router, 1.0)
    for _ in range(10):
        with pytest.raises(NoCandidate):
            decide(router, capabilities=("juggling",))


def test_a_dry_run_of_what_would_be_shed_is_refused_and_counts_nothing() -> None:
    router, counters = routed()
    shed(router, 1.0)
    with pytest.raises(Shed):
        router.dry_run(Query(), now_s=0)
    assert counters.take_touched() == []
