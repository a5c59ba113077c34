"""Many requests decided at once: each as it would be alone, each by an id of its own."""

import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.classes import ClassConfig, ClassifierConfig
from server.routing.asked import Asked
from server.routing.batch import Alike, Batch, Decided, decide_batch
from server.routing.catalog import PayloadKind
from server.routing.counters import NO_MODEL, Leg
from server.routing.decision_id import Kind, OpenDecision, open_decision
from server.routing.errors import NoCandidate, Shed
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import WeightTable
from tests.server.routing.routed import (
    CELL,
    KEY,
    LARGE,
    SMALL,
    decide,
    eject,
    of_three,
    plan,
    routed,
    shares_of,
    shed,
)

NOW_S = 1_000.0


def alike(router: Router, places: range, tokens: int | None = None, **query: Any) -> Alike:
    asked = router.read(Query(input_tokens=tokens, **query))
    return Alike(asked, 0.0, dict.fromkeys(places, tokens))


def batch(router: Router, *requests: Alike, chance: Callable[[], float] | None = None) -> Batch:
    return decide_batch(router, requests, now_s=NOW_S, chance=chance or random.Random(7).random)


def decided(made: Batch, place: int) -> Decided:
    answer = made.answers[place]
    assert isinstance(answer, Decided)
    return answer


def models(made: Batch) -> list[str]:
    """Of each request, in their order."""
    return [
        made.decisions[decided(made, place).decision].target.model.name
        for place in sorted(made.answers)
    ]


def opened(made: Batch, place: int) -> OpenDecision:
    return open_decision(KEY, decided(made, place).decision_id, now_s=NOW_S)


def test_a_batch_keeps_the_mix_of_the_plan() -> None:
    router, _ = routed()
    plan(router, 0.3, 0.7)
    assert Counter(models(batch(router, alike(router, range(100))))) == {"small": 30, "large": 70}


def test_a_batch_is_spread_over_the_endpoints_of_its_model() -> None:
    router = of_three()
    made = batch(router, alike(router, range(160)))
    told = Counter(
        made.decisions[decided(made, place).decision].target.endpoint for place in made.answers
    )
    assert max(told.values()) - min(told.values()) <= 2 * 10  # two choices
    assert len(made.decisions) == 3
    assert {decision.grounds.reuse_for_s for decision in made.decisions} == {0}


def test_who_comes_first_in_a_batch_does_not_say_who_answers() -> None:
    router, _ = routed()
    plan(router, 0.5, 0.5)
    firsts, runs, chance = Counter[str](), 0, random.Random(7).random
    for _ in range(200):
        named = models(batch(router, alike(router, range(10)), chance=chance))
        firsts[named[0]] += 1
        runs += sum(a != b for a, b in pairwise(named))
    # Seeded: of coins, 100 and 1,000 on average.
    assert 70 < firsts["small"] < 130
    assert 900 < runs < 1_100


def test_each_has_an_id_of_its_own_that_says_its_cell_and_model() -> None:
    router, _ = routed()
    plan(router, 0.5, 0.5)
    made = batch(router, alike(router, range(20)), alike(router, range(20, 30), 5_000))
    assert len({decided(made, place).decision_id for place in range(30)}) == 30
    for place, name in enumerate(models(made)):
        said = opened(made, place)
        size = "s0" if place < 20 else "s1"
        assert (said.kind, said.cell, said.model) == (
            Kind.ROUTE,
            CELL._replace(size_bucket=size),
            name,
        )
        assert (said.expected_cost_nano_usd, said.version) == (1_000, "1")


def test_what_is_decided_alike_shares_a_decision() -> None:
    router, _ = routed()
    plan(router, 0.5, 0.5)
    # Read apart, for their texts differ, and decided as one.
    requests = [
        alike(router, range(i, i + 1), 10, text=f"t{i}", payload_kind=PayloadKind.UNKNOWN)
        for i in range(10)
    ]
    assert len(batch(router, *requests).decisions) == 2


def test_a_batch_counts_what_it_decided() -> None:
    router, counters = routed()
    plan(router, 0.3, 0.7)
    batch(router, alike(router, range(10)))
    decide(router)
    touched = {leg.model: counters.get(leg).decided for leg in counters.take_touched()}
    assert touched["small"] in (3, 4)
    assert sum(touched.values()) == 11


def test_a_batch_and_single_decisions_spend_the_same_credit() -> None:
    router, _ = routed()
    plan(router, 0.5, 0.5)
    (first,) = models(batch(router, alike(router, range(1))))
    assert [first, decide(router).target.model.name] == ["small", "large"]


def test_each_is_audited_by_the_rate_of_its_class_and_by_its_own_chance() -> None:
    router, _ = routed(classes=(ClassConfig(name="chat", default=True, audit_rate=0.25),))
    plan(router, 1.0)
    made = batch(router, alike(router, range(2_000)))
    audited = [place for place in range(2_000) if decided(made, place).audited]
    assert 400 < len(audited) < 600  # seeded
    for place in range(50):
        assert opened(made, place).audit_probability == (0.25 if place in audited else 0.0)


def test_the_audit_sample_of_a_mix_does_not_lean_to_a_model() -> None:
    router, _ = routed(classes=(ClassConfig(name="chat", default=True, audit_rate=0.5),))
    plan(router, 0.5, 0.5)
    made = batch(router, alike(router, range(2_000)))
    named = models(made)
    found = Counter(named[place] for place in range(2_000) if decided(made, place).audited)
    assert all(430 < count < 570 for count in found.values())  # seeded


def test_before_a_plan_each_is_decided_by_itself_and_priced_by_its_own_tokens() -> None:
    router, _ = routed()
    asked = router.read(Query(input_tokens=1))
    made = batch(router, Alike(asked, 0.0, {0: 1, 1: 900, 2: 1_000}))
    assert models(made) == ["small"] * 3
    for place, tokens in ((0, 1), (1, 900), (2, 1_000)):
        alone = decide(router, input_tokens=tokens)
        assert opened(made, place).expected_cost_nano_usd == alone.grounds.pick.cost_nano_usd
        assert made.decisions[place].reason == alone.reason


def test_whom_nobody_can_answer_is_refused_and_the_others_are_decided() -> None:
    router, counters = routed()
    plan(router, 1.0)
    made = batch(
        router, alike(router, range(2)), alike(router, range(2, 4), capabilities=("magic",))
    )
    assert isinstance(made.answers[0], Decided)
    for place in (2, 3):
        error = made.answers[place]
        assert isinstance(error, NoCandidate)
        assert error.field == "features.capabilities"
    assert counters.take_touched() == [(CELL, "small", "small")]


def test_a_batch_asks_no_model_that_is_ejected_or_unfit() -> None:
    router, _ = routed()
    plan(router, 0.5, 0.4, 0.1)
    eject(router, SMALL, now_s=NOW_S)
    tensors = alike(router, range(10), payload_kind=PayloadKind.TENSORS)
    assert set(models(batch(router, tensors))) == {"large"}
    eject(router, LARGE, now_s=NOW_S)
    # All that are fit are ejected: one has to be asked, as the plan says.
    assert set(models(batch(router, tensors))) == {"small", "large"}


def test_where_the_plans_models_are_ejected_the_first_that_is_fit_is_asked() -> None:
    router, _ = routed()
    plan(router, 1.0)
    eject(router, SMALL, now_s=NOW_S)
    assert models(batch(router, alike(router, range(3)))) == ["large"] * 3


def test_what_is_planned_is_what_a_plan_decides_alike() -> None:
    router, _ = routed()
    asked = router.read(Query(payload_kind=PayloadKind.TENSORS))
    demanding = router.read(Query(capabilities=("magic",)))

    def is_planned(asked: Asked) -> bool:
        planned = router.is_planned(asked)
        assert planned == bool(router.decide_alike(asked, 2, now_s=NOW_S))
        return planned

    assert not is_planned(asked)
    plan(router, 1.0)
    assert is_planned(asked)
    assert not is_planned(demanding)
    eject(router, SMALL, now_s=NOW_S)
    assert not is_planned(asked)  # another that is fit is open
    eject(router, LARGE, now_s=NOW_S)
    assert is_planned(asked)  # none is: ejection is ignored


def test_texts_are_kept_each_with_its_own_id() -> None:
    router, _ = routed(classifier=ClassifierConfig(file="m", keep_requests=10))
    plan(router, 0, 0, 1.0)
    requests = [
        alike(router, range(i, i + 1), text=text, payload_kind=PayloadKind.TEXT)
        for i, text in enumerate(("one", "two"))
    ]
    made = batch(router, *requests, alike(router, range(2, 3), payload_kind=PayloadKind.TEXT))
    kept = {each.text: each.decision_id for each in router.recent_texts.take()}
    assert kept == {"one": decided(made, 0).decision_id, "two": decided(made, 1).decision_id}


def test_an_empty_batch_decides_nothing() -> None:
    assert batch(routed()[0]) == ([], {})


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3_000)), max_size=10), st.data())
def test_every_request_is_answered_once_and_counted_once(
    sizes: list[tuple[int, int]], data: st.DataObject
) -> None:
    router, counters = routed()
    shares = data.draw(st.lists(st.floats(0, 1), max_size=3))
    plan(router, *shares)
    requests, begin = [], 0
    for size, tokens in sizes:
        requests.append(alike(router, range(begin, begin + size), tokens))
        begin += size
    made = batch(router, *requests)
    assert sorted(made.answers) == list(range(begin))
    ids = {decided(made, place).decision_id for place in made.answers}
    assert len(ids) == begin
    assert sum(counters.get(key).decided for key in counters.take_touched()) == begin
    for place, name in enumerate(models(made)):
        assert opened(made, place).model == name
    if shares_of(*shares):
        assert all(decision.grounds.plan_id == "p1" for decision in made.decisions)


def shed_places(made: Batch) -> set[int]:
    return {place for place, answer in made.answers.items() if isinstance(answer, Shed)}


def test_of_a_batch_the_part_that_the_plan_sheds_is_refused_one_by_one_and_counted() -> None:
    router, counters = routed()
    shed(router, 0.75, 1.0)
    made = batch(router, alike(router, range(100)))
    assert len(shed_places(made)) == 75
    assert made.answers.keys() == set(range(100))
    assert counters.get(Leg(CELL, NO_MODEL, NO_MODEL)).shed == 75
    assert counters.get(Leg(CELL, "small", "small")).decided == 25


def test_tenants_of_one_batch_are_refused_alike() -> None:
    router, _ = routed()
    shed(router, 0.5, 1.0)
    made = batch(
        router,
        alike(router, range(80), tenant="large"),
        alike(router, range(80, 100), tenant="small"),
    )
    places = shed_places(made)
    assert sum(place < 80 for place in places) == pytest.approx(40, abs=2)
    assert sum(place >= 80 for place in places) == pytest.approx(10, abs=2)


def test_a_batch_and_single_decisions_share_what_is_owed() -> None:
    router, _ = routed()
    shed(router, 0.5, 1.0)
    refused = 0
    for _ in range(50):
        refused += len(shed_places(batch(router, alike(router, range(1)))))
        try:
            decide(router)
        except Shed:
            refused += 1
    assert refused == 50


def test_a_batch_that_is_shed_whole_has_no_decision() -> None:
    router, _ = routed()
    shed(router, 1.0)
    made = batch(router, alike(router, range(10)))
    assert (made.decisions, shed_places(made)) == ([], set(range(10)))


def test_what_is_not_shed_and_has_no_planned_model_is_decided_alone_and_shed_once() -> None:
    router, _ = routed()
    half = {("chat", "any"): (0.5, "capacity of small")}
    router.publish(WeightTable("p1", kinds_shed=half))
    made = batch(router, alike(router, range(100)))
    assert len(shed_places(made)) == 50
    assert len(made.decisions) == 50


def test_places_of_a_batch_are_refused_by_lot() -> None:
    router, chance = routed()[0], random.Random(7).random
    shed(router, 0.5, 1.0)
    firsts = sum(
        0 in shed_places(batch(router, alike(router, range(2)), chance=chance)) for _ in range(200)
    )
    assert 70 < firsts < 130  # seeded: of coins, 100 on average
