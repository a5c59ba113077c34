"""A request decided: who may, who is picked, who comes next, and why."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.config.classes import ClassConfig
from server.config.models import HealthConfig, ModelConfig, PriceConfig
from server.config.schema import Config
from server.money import NANO_PER_USD
from server.routing.asked import Asked
from server.routing.catalog import Cell, PayloadKind
from server.routing.counters import NO_MODEL, Counters, Leg
from server.routing.decision_id import KEY_BYTES, Kind, Sealer, open_decision
from server.routing.errors import DecisionInvalid, NoCandidate, NotReady, Shed, UnknownClass
from server.routing.query import Query
from server.routing.reading.classifier import Reading
from server.routing.reported import Reported, Told, Took
from server.routing.router import (
    FALLBACKS_MAX,
    GROUNDS_MAX,
    Decision,
    Grounds,
    Router,
)
from server.routing.selector import OPENED_MAX, Basis, CellKey, ModelShares, Selector, WeightTable
from tests.server.configs import configs
from tests.server.routing.configs import config, model

KEY = bytes(KEY_BYTES)
CELL = Cell("chat", "-", "other", "s0")
SMALL, LARGE, TEXT = 0, 1, 2
THIRD, TENSORS = TEXT, PayloadKind.TENSORS
HEALTH = HealthConfig(consecutive_failures_max=1, ejection_s=10, ejection_s_max=10)
MODELS = (
    model("small", price=PriceConfig(request_usd=0.001), prior_accuracy=0.7),
    model("large", price=PriceConfig(request_usd=0.01), prior_accuracy=0.95),
    model("text", protocol="openai", price=PriceConfig(request_usd=0.1), capabilities=("tools",)),
)


def routed(models: Sequence[ModelConfig] = MODELS, **changes: Any) -> tuple[Router, Counters]:
    counters, chance = Counters(), random.Random(7).random
    router = Router(Selector(), Sealer(KEY, boot=7), counters, chance=chance)
    router.configure(config(*models, **({"health": HEALTH} | changes)))
    return router, counters


def of_three(**changes: Any) -> Router:
    """Whose one model has three endpoints."""
    router, _ = routed([model("small", endpoints=("a:1", "b:1", "c:1"))], **changes)
    plan(router, 1.0)
    return router


@pytest.fixture
def router() -> Router:
    return routed()[0]


def shares_of(*shares: float) -> ModelShares:
    return tuple((model, share, 1_000) for model, share in enumerate(shares) if share)


def plan(router: Router, *shares: float, cell: Cell = CELL) -> None:
    """For the cell and its whole class."""
    router.publish(WeightTable("p1", {cell: shares_of(*shares)}, {"chat": shares_of(*shares)}))


def decide(router: Router, chance: float = 0.5, now_s: float = 0.0, **query: Any) -> Decision:
    return router.decide(Query(**query), now_s=now_s, chance=chance)


def eject(router: Router, index: int, now_s: float = 0.0) -> None:
    name = router.catalog.models[index].name
    assert router.health.failed((index, f"{name}:8001"), sent_s=now_s, now_s=now_s)


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


def test_the_reason_says_whose_share_it_is_and_that_the_model_was_owed_most(
    router: Router,
) -> None:
    plan(router, 0.25, 0.75)
    of_cell = "plan p1 gives large 75% of this cell, and large is owed most"
    assert decide(router).reason == of_cell
    decision = decide(router, input_tokens=5_000)
    assert decision.grounds.pick.basis is Basis.CLASS
    assert decision.reason.startswith("plan p1 gives ")
    assert "of the class, for it has no open model in this cell" in decision.reason


def test_the_reason_says_that_other_models_of_the_plan_are_not_open(router: Router) -> None:
    plan(router, 0.75, 0.25)
    eject(router, SMALL)
    reason = "plan p1 gives large 25% of this cell, and no other model of it is open"
    assert decide(router).reason == reason


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


def test_fallbacks_are_the_plans_other_models_by_share_then_the_rest_in_greedy_order() -> None:
    router = Router(Selector(), Sealer(KEY, boot=7), Counters(), chance=lambda: 0.5)
    costs = {"a": 6, "b": 5, "c": 4, "d": 3, "e": 2}
    router.configure(
        config(*(model(n, price=PriceConfig(request_usd=usd)) for n, usd in costs.items()))
    )
    plan(router, 0.1, 0.3, 0.6)
    decision = decide(router)
    assert decision.target.model.name == "c"
    assert [router.catalog.models[i].name for i in decision.grounds.fallbacks] == ["b", "a", "e"]
    assert len(decision.grounds.fallbacks) == FALLBACKS_MAX


def test_fallbacks_leave_out_who_is_ejected_or_unfit(router: Router) -> None:
    assert decide(router).grounds.fallbacks == (LARGE, TEXT)
    assert decide(router, payload_kind=PayloadKind.TENSORS).grounds.fallbacks == (LARGE,)
    eject(router, LARGE)
    assert decide(router).grounds.fallbacks == (TEXT,)


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


@pytest.mark.parametrize(("shares", "reuse_for_s"), [((1.0,), 7), ((0.5, 0.5), 0), ((), 0)])
def test_a_decision_may_be_reused_for_a_window_where_its_cell_has_one_model(
    shares: tuple[float, ...], reuse_for_s: float
) -> None:
    router, _ = routed(window_s=7)
    plan(router, *shares)
    assert decide(router).grounds.reuse_for_s == reuse_for_s


def test_a_decision_that_names_one_of_several_endpoints_is_not_for_others() -> None:
    assert decide(of_three()).grounds.reuse_for_s == 0


def test_a_thousand_decisions_are_spread_over_the_endpoints_of_their_model() -> None:
    router = of_three()
    told = Counter(decide(router).target.endpoint for _ in range(1_000))
    # As tests of endpoints say, none falls behind by more than some few.
    assert max(told.values()) - min(told.values()) <= 5


def test_a_dry_run_gives_nothing_to_an_endpoint() -> None:
    router = of_three()
    router.dry_run(Query(), now_s=0)
    assert [load.given(0) for load in router.endpoints.loads.values()] == [0, 0, 0]


def test_an_endpoint_that_joins_is_given_a_tenth_of_a_part_at_first() -> None:
    router = of_three()
    decide(router)
    more = model("small", endpoints=("a:1", "b:1", "c:1", "d:1"))
    router.configure(config(more))
    told = Counter(decide(router).target.endpoint for _ in range(3_100))
    assert told["d:1"] == pytest.approx(100, abs=10)


def test_after_a_failure_the_first_model_that_is_up_is_next() -> None:
    router, _ = routed([*MODELS[:2], model("third")])
    asked = [router.target(SMALL)]
    assert router.next_target(asked, (LARGE, THIRD), TENSORS) == router.target(LARGE)
    eject(router, LARGE)
    assert router.next_target(asked, (LARGE, THIRD), TENSORS) == router.target(THIRD)


def test_where_no_model_is_up_another_endpoint_of_the_same_is_next() -> None:
    several = model("small", endpoints=("a:1", "b:1"))
    router, _ = routed([several, MODELS[LARGE]])
    first = router.target(SMALL)._replace(endpoint="a:1")
    assert router.next_target([first], (LARGE,), TENSORS) == router.target(LARGE)
    eject(router, LARGE)
    assert router.next_target([first], (LARGE,), TENSORS) == first._replace(endpoint="b:1")
    assert router.next_target([first], (), TENSORS) == first._replace(endpoint="b:1")


def test_where_nothing_is_up_a_model_is_next_all_the_same(router: Router) -> None:
    eject(router, LARGE)
    assert router.next_target([router.target(SMALL)], (LARGE,), TENSORS) == router.target(LARGE)
    assert router.next_target([router.target(SMALL)], (), TENSORS) is None


@pytest.mark.parametrize(
    "changes", [{"enabled": False}, {"endpoints": ()}, {"protocol": "openai"}, None]
)
def test_a_model_that_may_no_longer_serve_is_not_next(changes: dict[str, Any] | None) -> None:
    several = model("small", endpoints=("a:1", "b:1"))
    router, _ = routed([several, MODELS[LARGE]])
    first = router.target(SMALL)._replace(endpoint="a:1")
    changed = [] if changes is None else [MODELS[LARGE].model_copy(update=changes)]
    router.configure(config(several, *changed))
    assert router.next_target([first], (LARGE,), TENSORS) == first._replace(endpoint="b:1")
    router.configure(config(several.model_copy(update={"enabled": False}), MODELS[LARGE]))
    assert router.next_target([first], (), TENSORS) is None


@pytest.mark.parametrize(
    ("shares", "query"),
    [
        ((0.5, 0, 0.5), {"capabilities": ("tools",)}),
        ((1.0,), {"capabilities": ("tools",)}),
        ((0.5, 0, 0.5), {"payload_kind": PayloadKind.TENSORS}),
    ],
)
def test_a_decision_for_what_only_some_models_can_do_is_not_for_others_of_its_cell(
    router: Router, shares: tuple[float, ...], query: dict[str, Any]
) -> None:
    plan(router, *shares)
    assert decide(router, **query).grounds.reuse_for_s == 0


def grounds(router: Router, rule: str) -> Grounds:
    """Of a decision on a request that this rule matched."""
    asked = Asked(Reading(CELL, rule, 0), 0, demanding=False, text="")
    return router.decide_read(asked, now_s=0, chance=0.5).grounds


def test_decisions_of_one_pick_and_rule_share_their_grounds_until_plan_or_configuration_change(
    router: Router,
) -> None:
    plan(router, 0, 1.0)
    made = [grounds(router, "a"), grounds(router, "a"), grounds(router, "b")]
    assert (made[0] is made[1], made[0] is made[2]) == (True, False)
    assert [one.rule for one in made] == ["a", "a", "b"]
    plan(router, 0, 1.0)
    planned = grounds(router, "a")
    router.configure(config(*MODELS))
    assert len({*made, planned, grounds(router, "a")}) == 4


def test_grounds_beyond_those_kept_are_made_anew(router: Router) -> None:
    plan(router, 0, 1.0)
    rules = [str(number) for number in range(GROUNDS_MAX + 1)]
    first, *_, last = [grounds(router, rule) for rule in rules]
    assert grounds(router, rules[0]) is first
    assert grounds(router, rules[-1]) is not last
    assert grounds(router, rules[-1]).reason == last.reason


def test_a_cell_whose_picks_are_not_kept_shares_grounds_all_the_same(router: Router) -> None:
    plan(router, 0, 1.0)
    cells = [CELL._replace(domain=f"d{number}") for number in range(OPENED_MAX + 1)]
    router.publish(WeightTable("p1", dict.fromkeys(cells, shares_of(0, 1.0)), {}))
    asked = [Asked(Reading(cell, "a", 0), 0, demanding=False, text="") for cell in cells]
    first, *_, last = [router.decide_read(one, now_s=0, chance=0.5).grounds for one in asked]
    assert router.decide_read(asked[0], now_s=0, chance=0.5).grounds is first
    assert router.decide_read(asked[-1], now_s=0, chance=0.5).grounds is last
    assert (last.cell, last.pick.model) == (cells[-1], LARGE)


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


def test_a_decision_id_says_the_model_that_answered_and_what_was_decided(router: Router) -> None:
    plan(router, 0, 1.0)
    decision = decide(router)
    answered = router.catalog.models[SMALL]
    decision_id = router.seal(decision, Kind.INFER, answered, now_s=99.5)
    opened = open_decision(KEY, decision_id, now_s=100)
    assert (opened.kind, opened.cell, opened.model) == (Kind.INFER, CELL, "small")
    assert (opened.version, opened.issued_s) == ("1", 99)
    assert opened.expected_cost_nano_usd == 1_000


def test_a_decision_that_is_out_keeps_the_class_it_was_made_by() -> None:
    router, _ = routed(classes=(ClassConfig(name="chat", default=True, deadline_s=7),))
    decision = decide(router)
    router.configure(config(*MODELS, classes=(ClassConfig(name="other", default=True),)))
    assert (decision.grounds.traffic_class.name, decision.grounds.traffic_class.deadline_s) == (
        "chat",
        7,
    )
    with pytest.raises(UnknownClass):
        decide(router, traffic_class="chat")


def test_an_endpoint_keeps_its_state_when_the_configuration_changes(router: Router) -> None:
    eject(router, SMALL)
    router.configure(config(*MODELS, model("new")))
    assert router.health.is_ejected((SMALL, "small:8001"))
    assert [m.name for m in router.models()] == ["small", "large", "text", "new"]


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
    router.configure(given)
    for query in asked:
        try:
            decision = router.decide(query, now_s=0, chance=0.5)
        except NoCandidate:
            continue
        assert decision.target.endpoint in decision.target.model.endpoints
        decision_id = router.seal(decision, Kind.ROUTE, decision.target.model, now_s=0)
        assert open_decision(KEY, decision_id, now_s=0).cell == decision.reading.cell


WHY = "capacity of small"


def shed(router: Router, part: float, *shares: float, cell: Cell = CELL) -> None:
    """Of the cell; its class serves all."""
    cells: dict[CellKey, ModelShares] = {cell: shares_of(*shares)} if any(shares) else {}
    router.publish(WeightTable("p1", cells, {"chat": shares_of(1.0)}, {cell: (part, WHY)}))


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


def told(router: Router, *, now_s: float, decided_s: float, fell_back: bool = False) -> None:
    """Who asks as the decision says, or falls back from small to large, and reports it."""
    decision = router.decide(Query(payload_kind=PayloadKind.TENSORS), now_s=decided_s, chance=0.9)
    decision_id = router.seal(decision, Kind.ROUTE, router.models()[SMALL], now_s=decided_s)
    asked = [Told("small", "", None), Told("large", "", None)] if fell_back else []
    router.observe(decision_id, Reported(asked, Took(0.5)), now_s=now_s)


def test_of_a_report_that_names_nobody_the_decisions_own_model_has_answered() -> None:
    router, _ = routed(health=HealthConfig(consecutive_failures_max=2, ejection_s=10))
    small = (SMALL, "small:8001")
    for now_s in range(100, 200, 10):
        told(router, now_s=now_s, decided_s=now_s - 1, fell_back=True)
        told(router, now_s=now_s, decided_s=now_s - 1)
    assert not router.health.is_ejected(small)
    assert router.endpoints.loads[small].attempts == 20
    for _ in range(2):
        told(router, now_s=200, decided_s=199, fell_back=True)
    assert router.health.is_ejected(small)


def test_of_a_model_with_several_endpoints_a_report_that_names_nobody_says_nothing() -> None:
    router = of_three()
    told(router, now_s=100, decided_s=99)
    assert {load.attempts for load in router.endpoints.loads.values()} == {0}


def test_a_report_of_an_outage_that_is_over_ejects_nobody() -> None:
    router, _ = routed(health=HealthConfig(consecutive_failures_max=2, ejection_s=10))
    for _ in range(5):
        told(router, now_s=3_700, decided_s=100, fell_back=True)
    assert not router.health.down


def test_a_report_of_a_decision_that_is_not_ours_is_none() -> None:
    with pytest.raises(DecisionInvalid):
        routed()[0].observe("x", Reported([], Took()), now_s=100)
