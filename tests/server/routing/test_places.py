from hypothesis import given
from hypothesis import strategies as st

from server.config.models import HealthConfig, ModelConfig
from server.config.schema import Config
from server.routing.catalog import PayloadKind, compile_catalog
from server.routing.counters import Counters
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.places import in_places
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Selector
from tests.server.configs import plain

BASE = Config.model_validate(plain())
SMALL, LARGE = BASE.models


def config(*names: str) -> Config:
    models = tuple(SMALL.model_copy(update={"name": name}) for name in names)
    return BASE.model_copy(update={"models": models})


def names(config: Config) -> list[str]:
    return [model.name for model in config.models]


def test_a_first_configuration_stays_as_it_is() -> None:
    assert in_places(BASE, ()) == BASE


def test_models_keep_their_places_in_whatever_order_a_file_has_them() -> None:
    assert names(in_places(config("c", "b", "a"), config("a", "b").models)) == ["a", "b", "c"]


def test_a_model_that_left_takes_nothing_and_has_its_place_again_when_it_returns() -> None:
    before = config("a", "b")
    without = in_places(config("b"), before.models)
    assert names(without) == ["a", "b"]
    catalog = compile_catalog(without)
    assert all(unfit & 1 for unfit in catalog.unfit.values())
    assert catalog.models[0].endpoints == ()
    assert in_places(before, without.models) == before


def test_beyond_the_limit_a_new_model_takes_the_place_of_one_that_left() -> None:
    placed = in_places(config("c", "d"), config("a", "b").models, places_max=3)
    assert names(placed) == ["d", "b", "c"]


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=4), min_size=2))
def test_whoever_stays_keeps_its_place_and_places_stay_within_the_limit(
    rounds: list[set[str]],
) -> None:
    placed: tuple[ModelConfig, ...] = ()
    for wanted in rounds:
        before = placed
        placed = in_places(config(*sorted(wanted)), before, places_max=8).models
        enabled = {model.name for model in placed if model.enabled}
        assert enabled == wanted
        assert len(placed) <= 8
        for old, new in zip(before, placed, strict=False):
            assert new.name == old.name or old.name not in wanted


def routed(config: Config) -> Router:
    router = Router(Selector(), Sealer(bytes(KEY_BYTES), boot=7), Counters(), chance=lambda: 0.5)
    router.configure(config)
    return router


def test_a_call_that_is_out_goes_on_to_the_model_that_was_to_follow() -> None:
    """Whatever the file that came meanwhile has in its place, and never to one that left."""
    first = config("a", "b", "c")
    router = routed(first)
    decision = router.decide(Query(), now_s=0.0, chance=0.5)
    assert (decision.target.model.name, decision.grounds.fallbacks) == ("a", (1, 2))
    router.configure(in_places(config("new", "c", "b"), first.models))
    asked = [decision.target]
    following = router.next_target(asked, decision.grounds.fallbacks, PayloadKind.UNKNOWN)
    assert following is not None
    assert following.model.name == "b"
    router.configure(in_places(config("c"), first.models))
    following = router.next_target(asked, decision.grounds.fallbacks, PayloadKind.UNKNOWN)
    assert following is not None
    assert following.model.name == "c"


def test_an_ejection_stays_with_the_model_that_earned_it() -> None:
    first = config("a", "b")
    router = routed(first.model_copy(update={"health": HealthConfig(consecutive_failures_max=1)}))
    endpoint = 0, SMALL.endpoints[0]
    router.health.record_failure(endpoint, sent_s=0.0, now_s=0.0)
    router.configure(in_places(config("b", "a"), first.models))
    assert router.health.is_ejected(endpoint)
    assert router.decide(Query(), now_s=1.0, chance=0.5).target.model.name == "b"
