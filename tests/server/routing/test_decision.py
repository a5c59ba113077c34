"""What a decision says: why, who comes next, for whom else it holds, and what its id tells."""

from typing import Any

import pytest

from server.config.classes import ClassConfig
from server.config.models import PriceConfig
from server.routing.asked import Asked
from server.routing.catalog import PayloadKind
from server.routing.counters import Counters
from server.routing.decision import FALLBACKS_MAX, GROUNDS_MAX, Grounds
from server.routing.decision_id import Kind, Sealer, open_decision
from server.routing.errors import UnknownClass
from server.routing.reading.classifier import Reading
from server.routing.router import Router
from server.routing.selector import OPENED_MAX, Basis, Selector, WeightTable
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
    of_three,
    plan,
    routed,
    shares_of,
)


@pytest.fixture
def router() -> Router:
    return routed()[0]


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


@pytest.mark.parametrize(("shares", "reuse_for_s"), [((1.0,), 7), ((0.5, 0.5), 0), ((), 0)])
def test_a_decision_may_be_reused_for_a_window_where_its_cell_has_one_model(
    shares: tuple[float, ...], reuse_for_s: float
) -> None:
    router, _ = routed(window_s=7)
    plan(router, *shares)
    assert decide(router).grounds.reuse_for_s == reuse_for_s


def test_a_decision_that_names_one_of_several_endpoints_is_not_for_others() -> None:
    assert decide(of_three()).grounds.reuse_for_s == 0


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
