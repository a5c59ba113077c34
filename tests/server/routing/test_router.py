"""A request decided: who may answer it, and who is picked."""

import random
from collections import Counter
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.config.classes import ClassConfig
from server.config.list_prices import with_list_prices
from server.config.models import ModelConfig, PriceConfig
from server.config.schema import Config
from server.money import NANO_PER_USD
from server.routing.catalog import PayloadKind
from server.routing.counters import Counters, Leg
from server.routing.decision_id import Kind, Sealer, open_decision
from server.routing.errors import NoCandidate, NotReady
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Basis, Selector, WeightTable
from tests.server.configs import configs
from tests.server.routing.configs import config, model
from tests.server.routing.routed import (
    CELL,
    KEY,
    LARGE,
    MODELS,
    SMALL,
    TEXT,
    decide,
    eject,
    plan,
    routed,
    shares_of,
)


@pytest.fixture
def router() -> Router:
    return routed()[0]


def test_without_a_configuration_a_router_is_not_ready() -> None:
    router = Router(Selector(), Sealer(KEY, boot=7), Counters(), chance=lambda: 0.5)
    assert router.models() == ()
    with pytest.raises(NotReady):
        decide(router)
    with pytest.raises(NotReady):
        _ = router.catalog


def test_before_the_first_plan_the_cheapest_is_taken(router: Router) -> None:
    decision = decide(router)
    assert decision.target.model.name == "small"
    assert decision.grounds.pick.basis is Basis.GREEDY
    assert decision.grounds.plan_id == ""
    assert decision.reason == "there is no plan yet for class chat: small is the first that is fit"


def test_before_the_first_plan_a_floor_is_held_by_what_is_believed_to_hold_it() -> None:
    router, _ = routed(classes=(ClassConfig(name="chat", default=True, floor=0.9),))
    decision = decide(router)
    assert decision.target.model.name == "large"
    assert decision.grounds.pick.cost_nano_usd == NANO_PER_USD // 100


def test_before_the_first_plan_a_request_is_priced_by_the_tokens_it_has() -> None:
    dear = model("dear", price=PriceConfig(input_usd_per_mtok=1))
    router = Router(Selector(), Sealer(KEY, boot=7), Counters(), chance=lambda: 0.5)
    router.configure(config(dear))
    assert decide(router, input_tokens=7).grounds.pick.cost_nano_usd == 7_000
    assert decide(router).grounds.pick.cost_nano_usd == 1_000_000


def test_a_plan_says_the_model_the_cost_and_why(router: Router) -> None:
    plan(router, 0, 1.0)
    decision = decide(router)
    assert decision.target == (LARGE, router.catalog.models[LARGE], "large:8001")
    assert decision.grounds.pick.cost_nano_usd == 1_000
    assert decision.grounds.plan_id == "p1"
    assert decision.reason == "plan p1 gives large 100% of this cell"


def test_where_the_plan_has_no_open_model_the_first_fit_one_is_taken(router: Router) -> None:
    plan(router, 1.0)
    eject(router, SMALL)
    decision = decide(router)
    assert (decision.target.model.name, decision.grounds.pick.basis) == ("large", Basis.GREEDY)
    assert (
        decision.reason
        == "plan p1 has no open model for class chat: large is the first that is fit"
    )


def test_a_new_plan_holds_from_the_next_decision_on(router: Router) -> None:
    plan(router, 1.0)
    before = decide(router)
    router.publish(WeightTable("p2", {CELL: shares_of(0, 1.0)}))
    after = decide(router)
    assert [(d.grounds.plan_id, d.target.model.name) for d in (before, after)] == [
        ("p1", "small"),
        ("p2", "large"),
    ]


def test_a_payload_is_routed_to_models_that_take_it_whatever_the_plan(router: Router) -> None:
    plan(router, 0.5, 0.5)
    decision = decide(router, payload_kind=PayloadKind.TEXT)
    assert decision.target.model.name == "text"
    plan(router, 0, 0, 1.0)
    assert decide(router, payload_kind=PayloadKind.TENSORS).target.model.name == "small"


def test_a_request_is_routed_to_models_that_can_do_what_it_asks(router: Router) -> None:
    plan(router, 1.0)
    assert decide(router, capabilities=("tools",)).target.model.name == "text"


def test_a_drained_model_gets_nothing() -> None:
    router, _ = routed()
    plan(router, 1.0)
    drained = (model("small", enabled=False), *MODELS[1:])
    router.configure(config(*drained))
    assert decide(router).target.model.name == "large"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"capabilities": ("magic",)}, "features.capabilities"),
        (
            {"capabilities": ("tools",), "payload_kind": PayloadKind.TENSORS},
            "features.capabilities",
        ),
    ],
)
def test_without_a_candidate_a_request_is_refused_and_counts_nothing(
    query: dict[str, Any], field: str
) -> None:
    router, counters = routed()
    plan(router, 0.5, 0.5)
    with pytest.raises(NoCandidate) as refused:
        decide(router, **query)
    assert refused.value.field == field
    assert counters.take_touched() == []


def test_without_a_model_for_its_payload_a_request_is_refused() -> None:
    router = Router(Selector(), Sealer(KEY, boot=7), Counters(), chance=lambda: 0.5)
    router.configure(config(model("tensors")))
    with pytest.raises(NoCandidate):
        decide(router, payload_kind=PayloadKind.TEXT)


OWN = model("own", endpoints=(), price=PriceConfig(request_usd=0.0001))


def test_a_model_without_endpoints_is_routed_to_as_any_other() -> None:
    router = Router(Selector(), Sealer(KEY, boot=7), Counters(), chance=lambda: 0.5)
    router.configure(config(OWN, model("small")))
    plan(router, 1.0)
    decision = decide(router)
    assert (decision.target.model.name, decision.target.endpoint) == ("own", "")
    assert decision.grounds.pick.basis is Basis.PLAN


def test_infer_forwards_to_models_alone_that_it_reaches_whatever_the_plan() -> None:
    router = Router(Selector(), Sealer(KEY, boot=7), Counters(), chance=lambda: 0.5)
    router.configure(config(OWN, model("text", protocol="openai"), model("small"), model("large")))
    plan(router, 0.5, 0.5)
    decision = router.decide(Query(), now_s=0, chance=0.5, forwarded=True)
    assert decision.target.model.name == "small"
    assert [router.catalog.models[i].name for i in decision.grounds.fallbacks] == ["large"]


@pytest.mark.parametrize("only", [OWN, model("text", protocol="openai")])
def test_where_infer_reaches_no_model_it_is_refused_with_what_to_do(only: ModelConfig) -> None:
    router = Router(Selector(), Sealer(KEY, boot=7), Counters(), chance=lambda: 0.5)
    router.configure(config(only))
    plan(router, 1.0)
    with pytest.raises(NoCandidate, match="Infer can forward to: ask Route and call the model"):
        router.decide(Query(), now_s=0, chance=0.5, forwarded=True)
    assert decide(router).target.model.name == only.name


def test_an_ejected_model_gets_nothing_until_its_time_is_over(router: Router) -> None:
    plan(router, 1.0)
    eject(router, SMALL, now_s=100)
    assert decide(router, now_s=109.9).target.model.name == "large"
    assert decide(router, now_s=110).target.model.name == "small"


def test_where_every_candidate_is_ejected_the_plan_goes_on_as_if_none_were(
    router: Router,
) -> None:
    plan(router, 0, 1.0)
    for index in (SMALL, LARGE, TEXT):
        eject(router, index)
    assert decide(router).target.model.name == "large"


def test_a_healthy_model_that_does_not_fit_is_no_reason_to_refuse_who_fits(
    router: Router,
) -> None:
    plan(router, 0.5, 0.5)
    for index in (SMALL, LARGE):
        eject(router, index)
    decision = decide(router, payload_kind=PayloadKind.TENSORS)
    assert decision.target.model_index in (SMALL, LARGE)


def test_a_dry_run_says_what_would_be_decided_and_changes_nothing() -> None:
    tried, counters = routed(classes=(ClassConfig(name="chat", default=True, audit_rate=1),))
    plain, _ = routed(classes=(ClassConfig(name="chat", default=True, audit_rate=1),))
    for router in (tried, plain):
        plan(router, 0.3, 0.7)
    for _ in range(20):
        seen = tried.dry_run(Query(), now_s=0)
        assert counters.take_touched() == []
        decision = decide(tried)
        counters.take_touched()
        assert asdict(seen) == asdict(replace(decision, audit_probability=0.0))
        assert decision.target == decide(plain).target


def test_a_decision_counts_once_for_the_model_it_chose() -> None:
    router, counters = routed()
    plan(router, 0, 1.0)
    for _ in range(3):
        decide(router)
    assert counters.take_touched() == [Leg(CELL, "large", "large")]
    assert counters.get(Leg(CELL, "large", "large")).decided == 3


@pytest.mark.parametrize(
    ("rate", "chance", "probability"),
    [(0.25, 0.2499, 0.25), (0.25, 0.25, 0.0), (0.0, 0.0, 0.0), (1.0, 0.9999, 1.0)],
)
def test_a_decision_is_audited_by_the_rate_of_its_class(
    rate: float, chance: float, probability: float
) -> None:
    router, _ = routed(classes=(ClassConfig(name="chat", default=True, audit_rate=rate),))
    assert decide(router, chance).audit_probability == probability


def test_the_audit_sample_is_as_large_as_the_rate_says() -> None:
    router, _ = routed(classes=(ClassConfig(name="chat", default=True, audit_rate=0.1),))
    chance = random.Random(1)
    audited = Counter(decide(router, chance.random()).audit_probability for _ in range(5_000))
    assert audited.keys() == {0.0, 0.1}
    assert audited[0.1] == pytest.approx(500, abs=4 * 21)  # four standard deviations


texts = st.text(max_size=20)
queries = st.builds(
    Query,
    tenant=texts,
    user=texts,
    labels=st.dictionaries(texts, texts, max_size=3),
    metadata=st.dictionaries(texts, texts, max_size=3),
    priority=st.integers(-(2**31), 2**31 - 1),
    response_format=texts,
    payload_kind=st.sampled_from(PayloadKind),
    input_tokens=st.none() | st.integers(0, 2**32 - 1),
    text=texts,
)


@settings(max_examples=40)
@given(configs(), st.lists(queries, min_size=1, max_size=5))
def test_every_request_is_decided_by_every_configuration_or_has_no_candidate(
    given: Config, asked: list[Query]
) -> None:
    router = Router(Selector(), Sealer(KEY, boot=7), Counters(), chance=lambda: 0.5)
    router.configure(with_list_prices(given))
    for query in asked:
        try:
            decision = router.decide(query, now_s=0, chance=0.5)
        except NoCandidate:
            continue
        assert decision.target.endpoint in decision.target.model.endpoints
        decision_id = router.seal(decision, Kind.ROUTE, decision.target.model, now_s=0)
        assert open_decision(KEY, decision_id, now_s=0).cell == decision.reading.cell
