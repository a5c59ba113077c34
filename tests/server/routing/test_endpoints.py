"""The endpoint of a model that takes the next attempt."""

from server.config import HealthConfig
from server.routing.catalog import Model, compile_catalog
from server.routing.endpoints import Endpoints
from server.routing.health import HealthTracker
from tests.server.routing.configs import config, model

CONFIG = HealthConfig(consecutive_failures_max=1)


def endpoints_of(*addresses: str) -> tuple[Endpoints, HealthTracker, Model]:
    health = HealthTracker(CONFIG)
    endpoints = Endpoints(health)
    endpoints.track((0, address) for address in addresses)
    given = config(model("m", protocol="openai", endpoints=addresses))
    return endpoints, health, compile_catalog(given).models[0]


def test_the_least_loaded_endpoint_is_asked() -> None:
    endpoints, _, found = endpoints_of("a:1", "b:1", "c:1")
    for address, in_flight in (("a:1", 2), ("b:1", 1), ("c:1", 3)):
        endpoints.loads[0, address].in_flight = in_flight
    assert endpoints.choose(0, found) == "b:1"


def test_of_endpoints_equally_loaded_the_one_asked_less_often_is_asked() -> None:
    endpoints, _, found = endpoints_of("a:1", "b:1")
    asked = []
    for _ in range(4):
        asked.append(endpoints.choose(0, found))
        endpoints.loads[0, asked[-1]].attempts += 1
    assert asked == ["a:1", "b:1", "a:1", "b:1"]


def test_an_ejected_endpoint_is_not_asked_even_if_it_is_idle() -> None:
    endpoints, health, found = endpoints_of("a:1", "b:1")
    health.failed((0, "a:1"), sent_s=0, now_s=0)
    endpoints.loads[0, "b:1"].in_flight = 9
    assert endpoints.choose(0, found) == "b:1"


def test_where_all_are_ejected_the_least_loaded_is_asked() -> None:
    endpoints, health, found = endpoints_of("a:1", "b:1")
    for address in ("a:1", "b:1"):
        health.failed((0, address), sent_s=0, now_s=0)
    endpoints.loads[0, "a:1"].in_flight = 1
    assert endpoints.choose(0, found) == "b:1"


def test_a_model_that_only_callers_reach_has_no_endpoint() -> None:
    endpoints, _, found = endpoints_of()
    assert endpoints.choose(0, found) == ""


def test_a_known_endpoint_keeps_its_load_and_one_that_left_is_forgotten() -> None:
    endpoints, _, _ = endpoints_of("a:1", "b:1")
    endpoints.loads[0, "a:1"].in_flight = 1
    endpoints.track([(0, "a:1"), (1, "c:1")])
    assert endpoints.loads.keys() == {(0, "a:1"), (1, "c:1")}
    assert endpoints.loads[0, "a:1"].in_flight == 1
    assert endpoints.loads[1, "c:1"].in_flight == 0
