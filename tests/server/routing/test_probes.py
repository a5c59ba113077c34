"""Audits that try another model, drawn before a model is picked."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.classes import ClassConfig
from server.routing.batch import Alike, decide_batch
from server.routing.decision import Decision
from server.routing.decision_id import Kind, open_decision
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Basis, CellKey, Probes, WeightTable
from tests.server.routing.configs import config, model
from tests.server.routing.routed import (
    CELL,
    KEY,
    LARGE,
    SMALL,
    decide,
    eject,
    routed,
    shares_of,
)

RATE = 0.2
AUDITED = ClassConfig(name="chat", default=True, floor=0.6, grades="caller", audit_rate=RATE)
MODELS = (model("small"), model("large"), model("third"))
TRIED = ((LARGE, 0.75, 9_000), (2, 0.25, 2_000))


def exploring(part: float = 0.5) -> Router:
    """The plan gives all to the first model; of the audits this part tries the two others."""
    router, _ = routed(MODELS, classes=(AUDITED,))
    probes: dict[CellKey, Probes] = {CELL: Probes(part, TRIED)}
    router.publish(WeightTable("p1", {CELL: shares_of(1.0)}, probes=probes))
    return router


def is_probe(decision: Decision) -> bool:
    return decision.grounds.pick.basis is Basis.PROBE


@pytest.mark.parametrize(
    ("chance", "probability", "index"),
    [(0.0, 1.0, LARGE), (0.0749, 1.0, LARGE), (0.0751, 1.0, 2), (0.0999, 1.0, 2)],
)
def test_a_part_of_the_audits_tries_another_model_and_is_surely_graded(
    chance: float, probability: float, index: int
) -> None:
    decision = decide(exploring(), chance)
    assert is_probe(decision)
    assert (decision.audit_probability, decision.target.model_index) == (probability, index)


@pytest.mark.parametrize(("chance", "audited"), [(0.1001, True), (0.1999, True), (0.2, False)])
def test_the_rest_of_the_audits_is_the_plans_and_weighs_as_many_requests(
    chance: float, audited: bool
) -> None:
    decision = decide(exploring(), chance)
    assert not is_probe(decision)
    assert decision.target.model_index == SMALL
    # Of the nine requests of ten that are the plan's one is audited.
    assert decision.audit_probability == (pytest.approx(1 / 9) if audited else 0.0)


@given(st.floats(0.01, 0.99), st.integers(0, 2**32))
def test_grades_weigh_as_many_requests_as_there_were(part: float, seed: int) -> None:
    router, chance = exploring(part), random.Random(seed)
    audited = [decide(router, chance.random() * RATE) for _ in range(400)]
    weights = [1 / d.audit_probability for d in audited if not is_probe(d)]
    probes = len(audited) - len(weights)
    # As the probes and the rest of the audits were drawn, so many requests are likely.
    assert all(w == pytest.approx((1 - RATE * part) / (RATE * (1 - part))) for w in weights)
    assert abs(probes - 400 * part) < 5 * (400 * part * (1 - part)) ** 0.5 + 1


def test_a_probe_says_so_and_falls_back_to_the_plan() -> None:
    decision = decide(exploring(), 0.0)
    assert decision.reason == "plan p1 has audits of this cell try others: large in 75%"
    assert decision.grounds.fallbacks[0] == SMALL
    assert decision.grounds.reuse_for_s == 0.0
    assert not is_probe(decide(exploring(), 0.5))


def test_a_probe_is_of_no_model_that_is_down() -> None:
    router = exploring()
    eject(router, LARGE)
    decision = decide(router, 0.01)
    assert (is_probe(decision), decision.target.model_index) == (True, 2)


def test_where_nothing_may_be_tried_all_audits_are_the_plans() -> None:
    router = exploring()
    eject(router, LARGE)
    eject(router, 2)
    decision = decide(router, 0.01)
    assert (is_probe(decision), decision.target.model_index) == (False, SMALL)
    assert decision.audit_probability == RATE


def test_probes_spend_no_credit() -> None:
    router = exploring()
    table = WeightTable("p1", {CELL: shares_of(0.5, 0.5)}, probes={CELL: Probes(0.5, TRIED)})
    router.publish(table)
    chances = [0.0 if n % 3 else 0.5 for n in range(300)]
    planned = [d for c in chances if not is_probe(d := decide(router, c))]
    taken = Counter(decision.target.model_index for decision in planned)
    assert abs(taken[SMALL] - taken[LARGE]) <= 2


def test_another_plan_and_another_configuration_end_what_was_tried() -> None:
    router = exploring()
    router.publish(WeightTable("p2", {CELL: shares_of(1.0)}))
    assert decide(router, 0.0).audit_probability == RATE
    router = exploring()
    router.configure(config(*MODELS))  # whose class is not audited
    assert decide(router, 0.0).audit_probability == 0.0


def test_a_batch_probes_as_single_requests_do() -> None:
    router, chance = exploring(), random.Random(3).random
    asked = router.read(Query())
    requests = [Alike(asked, 0.0, dict.fromkeys(range(4_000)))]
    batch = decide_batch(router, requests, now_s=0.0, chance=chance)
    decisions = [batch.decisions[a.decision] for a in batch.answers.values()]  # type: ignore[union-attr]
    probes = [d for d in decisions if is_probe(d)]
    audited = [a for a in batch.answers.values() if a.audited]  # type: ignore[union-attr]
    assert len(probes) == pytest.approx(400, abs=100)
    assert len(audited) == pytest.approx(800, abs=140)
    assert {d.target.model_index for d in probes} == {LARGE, 2}


def test_an_id_says_what_its_grade_weighs() -> None:
    router = exploring()
    probe, planned = decide(router, 0.0), decide(router, 0.15)
    for decision, weight in ((probe, 1.0), (planned, 9.0)):
        seal = router.seal(decision, Kind.ROUTE, decision.target.model, now_s=0.0)
        opened = open_decision(KEY, seal, now_s=0.0)
        assert 1 / opened.audit_probability == pytest.approx(weight, rel=1e-6)
