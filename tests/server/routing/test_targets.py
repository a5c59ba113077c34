"""Which endpoint is asked, who is asked next, and what reports say of those who were asked."""

from collections import Counter
from typing import Any

import pytest

from server.config.models import HealthConfig
from server.routing.catalog import PayloadKind
from server.routing.decision_id import Kind
from server.routing.errors import DecisionInvalid
from server.routing.query import Query
from server.routing.reported import Reported, Told, Took
from server.routing.router import Router
from tests.server.routing.configs import config, model
from tests.server.routing.routed import (
    LARGE,
    MODELS,
    SMALL,
    TENSORS,
    THIRD,
    decide,
    eject,
    of_three,
    routed,
)


@pytest.fixture
def router() -> Router:
    return routed()[0]


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


def test_whoever_failed_and_has_never_answered_is_next_after_all_others() -> None:
    router, _ = routed([*MODELS[:2], model("third")], health=HealthConfig())
    asked, large = [router.target(SMALL)], (LARGE, "large:8001")
    router.health.record_failure(large, sent_s=0, now_s=0)
    assert router.next_target(asked, (LARGE, THIRD), TENSORS) == router.target(THIRD)
    assert router.next_target(asked, (LARGE,), TENSORS) == router.target(LARGE)
    router.health.record_success(large, sent_s=1, now_s=1)
    router.health.record_failure(large, sent_s=2, now_s=2)
    assert router.next_target(asked, (LARGE, THIRD), TENSORS) == router.target(LARGE)


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


def test_an_endpoint_keeps_its_state_when_the_configuration_changes(router: Router) -> None:
    eject(router, SMALL)
    router.configure(config(*MODELS, model("new")))
    assert router.health.is_ejected((SMALL, "small:8001"))
    assert [m.name for m in router.models()] == ["small", "large", "text", "new"]


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
