"""The endpoint of a model that takes the next request."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.models import ENDPOINTS_MAX, HealthConfig
from server.routing.catalog import Model, compile_catalog
from server.routing.endpoints import (
    ALIKE_CHOICES_MAX,
    ALIKE_MIN,
    RAMP_MIN,
    RECENT_S,
    SLOW_START_S,
    EndpointLoad,
    Endpoints,
)
from server.routing.health import HealthTracker
from tests.server.routing.configs import config, model

CONFIG = HealthConfig(consecutive_failures_max=1, ejection_s=5)


@dataclass(slots=True)
class Scene:
    """One model's endpoints."""

    health: HealthTracker
    endpoints: Endpoints
    model: Model
    now_s: float = 0.0

    def load(self, address: str) -> EndpointLoad:
        return self.endpoints.loads[0, address]

    def choose(self) -> str:
        return self.endpoints.choose(0, self.model)

    def give(self, count: int = 1) -> Counter[str]:
        """So many requests that are given away one by one, as Route does."""
        given: Counter[str] = Counter()
        for _ in range(count):
            address = self.choose()
            self.endpoints.give((0, address))
            given[address] += 1
        return given

    def pass_by(self, seconds: float) -> None:
        self.now_s += seconds
        self.endpoints.refresh(self.now_s)

    def eject(self, address: str) -> None:
        self.health.record_failure((0, address), sent_s=self.now_s, now_s=self.now_s)

    def serve_at(self, *addresses: str) -> None:
        """A configuration with these endpoints comes in force."""
        self.endpoints.track((0, address) for address in addresses)
        self.model = served_at(*addresses)


def served_at(*addresses: str) -> Model:
    return compile_catalog(config(model("m", protocol="openai", endpoints=addresses))).models[0]


def scene(*addresses: str, chance: Callable[[], float] | None = None) -> Scene:
    health = HealthTracker(CONFIG)
    endpoints = Endpoints(health, chance or random.Random(7).random)
    made = Scene(health, endpoints, served_at(*addresses))
    made.serve_at(*addresses)
    return made


def test_of_two_endpoints_the_one_with_less_in_flight_is_asked() -> None:
    given = scene("a:1", "b:1")
    given.load("a:1").in_flight = 1
    assert {given.choose() for _ in range(20)} == {"b:1"}


def test_of_two_with_as_much_in_flight_the_one_that_was_given_less_is_asked() -> None:
    given = scene("a:1", "b:1")
    given.endpoints.give((0, "a:1"))
    assert {given.choose() for _ in range(20)} == {"b:1"}


@pytest.mark.parametrize(
    ("chance", "pair"),
    [(0.0, "ab"), (0.17, "ac"), (0.34, "ba"), (0.5, "bc"), (0.67, "ca"), (0.9999, "cb")],
)
def test_each_pair_is_as_likely_and_of_equals_the_first_is_asked(chance: float, pair: str) -> None:
    given = scene("a:1", "b:1", "c:1", chance=lambda: chance)
    assert given.choose() == f"{pair[0]}:1"
    given.load(f"{pair[0]}:1").in_flight = 1
    assert given.choose() == f"{pair[1]}:1"


@given(st.floats(0, 1, exclude_max=True), st.integers(2, ENDPOINTS_MAX))
def test_every_chance_names_two_different_endpoints(chance: float, count: int) -> None:
    addresses = [f"e{number}:1" for number in range(count)]
    made = scene(*addresses, chance=lambda: chance)
    first = made.choose()
    made.load(first).in_flight = 1
    assert made.choose() != first


def test_a_thousand_requests_are_spread_evenly() -> None:
    # One falls behind by one each time it is not of the two, a chance of 1 in 3: by 5 in a row
    # once in 243 times, and then it is asked each time that it is of the two.
    given = scene("a:1", "b:1", "c:1").give(1_000)
    assert max(given.values()) - min(given.values()) <= 5


def test_a_slow_endpoint_is_given_less_than_a_fast_one() -> None:
    given = scene("a:1", "b:1")
    told: Counter[str] = Counter()
    out: list[tuple[float, str]] = []
    for number in range(2_000):
        given.pass_by(0.01)
        for due_s, address in [one for one in out if one[0] <= given.now_s]:
            given.load(address).in_flight -= 1
            out.remove((due_s, address))
        address = given.choose()
        given.endpoints.give((0, address))
        given.load(address).in_flight += 1
        out.append((given.now_s + (1.0 if address == "a:1" else 0.1), address))
        told[address] += number >= 1_000
    # Where both have as much to do, in flight and by the tenth of a second that was given: 0.2 r
    # of the fast one is 1.1 r of the slow one.
    assert told["b:1"] / told["a:1"] == pytest.approx(5.5, rel=0.2)


def test_what_was_given_long_ago_is_forgotten() -> None:
    given = scene("a:1", "b:1")
    given.endpoints.give((0, "a:1"), 1_000)
    given.pass_by(RECENT_S)
    assert given.load("a:1").given(given.now_s) == pytest.approx(1_000 / 2.718, rel=0.01)
    given.pass_by(20 * RECENT_S)
    assert given.load("a:1").given(given.now_s) < 0.001


def test_a_newcomer_gets_no_more_than_its_ramp() -> None:
    given = scene("a:1", "b:1")
    for _ in range(100):
        given.pass_by(0.1)
        given.give(20)
    given.serve_at("a:1", "b:1", "c:1")
    for number in range(1, 101):
        told = given.give(20)
        ramp = max((number - 1) * 0.1 / SLOW_START_S, RAMP_MIN)
        fair = 20 * ramp / (2 + ramp)
        assert told["c:1"] <= fair + 3  # whole requests, and the same chance of falling behind
        given.pass_by(0.1)
    assert given.give(3_000)["c:1"] == pytest.approx(1_000, abs=50)


def test_a_newcomer_gets_its_part_while_it_warms_up() -> None:
    given = scene("a:1", "b:1")
    given.give(1_000)
    given.serve_at("a:1", "b:1", "c:1")
    told = given.give(2_100)
    assert told["c:1"] == pytest.approx(100, abs=10)  # a tenth of what others get


def test_one_in_flight_weighs_more_at_a_newcomer() -> None:
    given = scene("a:1")
    given.serve_at("a:1", "b:1")
    given.choose()
    given.load("a:1").in_flight = 9
    given.load("b:1").in_flight = 1
    assert {given.choose() for _ in range(20)} == {"a:1"}


def test_who_comes_back_is_given_little_at_first() -> None:
    given = scene("a:1", "b:1", "c:1")
    given.pass_by(100)
    given.give(3_000)
    given.eject("c:1")
    assert given.give(300)["c:1"] == 0
    given.pass_by(5)
    assert not given.health.is_ejected((0, "c:1"))
    assert given.give(2_100)["c:1"] == pytest.approx(100, abs=10)


def test_the_first_of_all_and_those_that_join_together_get_even_parts() -> None:
    given = scene("a:1", "b:1")
    assert given.give(100)["a:1"] == pytest.approx(50, abs=5)
    given.serve_at("c:1", "d:1")
    assert given.give(100)["c:1"] == pytest.approx(50, abs=5)


def test_an_ejected_endpoint_is_not_asked_even_if_it_is_idle() -> None:
    given = scene("a:1", "b:1", "c:1")
    given.eject("a:1")
    given.load("b:1").in_flight = given.load("c:1").in_flight = 9
    assert "a:1" not in given.give(100)
    given.eject("b:1")
    assert set(given.give(100)) == {"c:1"}


def test_where_all_are_ejected_one_is_asked_all_the_same() -> None:
    given = scene("a:1", "b:1")
    given.eject("a:1")
    given.eject("b:1")
    assert set(given.give(100)) == {"a:1", "b:1"}


def test_after_an_endpoint_another_is_named_while_one_is_open() -> None:
    given = scene("a:1", "b:1", "c:1")
    assert {given.endpoints.choose_other(0, given.model, "a:1") for _ in range(20)} == {
        "b:1",
        "c:1",
    }
    given.eject("b:1")
    assert given.endpoints.choose_other(0, given.model, "a:1") == "c:1"
    given.eject("c:1")
    assert given.endpoints.choose_other(0, given.model, "a:1") == ""


def test_a_model_that_only_callers_reach_has_no_endpoint() -> None:
    given = scene()
    assert given.choose() == ""
    assert given.endpoints.choose_many(0, given.model, 100) == [("", 100)]


def test_what_is_decided_alike_is_spread_by_some_choices() -> None:
    given = scene("a:1", "b:1", "c:1")
    told = dict(given.endpoints.choose_many(0, given.model, 1_000))
    part = -(-1_000 // ALIKE_CHOICES_MAX)
    assert sum(told.values()) == 1_000
    assert max(told.values()) - min(told.values()) <= 2 * part


@given(st.integers(1, 2_000))
def test_all_that_is_decided_alike_is_given_and_no_choice_is_for_few(count: int) -> None:
    made = scene("a:1", "b:1", "c:1", "d:1")
    told = made.endpoints.choose_many(0, made.model, count)
    assert sum(taken for _, taken in told) == count
    assert len(told) <= min(-(-count // ALIKE_MIN), ALIKE_CHOICES_MAX)


def test_batches_are_spread_as_single_requests_are() -> None:
    given = scene("a:1", "b:1", "c:1")
    told: Counter[str] = Counter()
    for _ in range(300):
        told.update(dict(given.endpoints.choose_many(0, given.model, 5)))
    assert max(told.values()) - min(told.values()) <= 5 * 5


def test_a_known_endpoint_keeps_its_load_and_one_that_left_is_forgotten() -> None:
    given = scene("a:1", "b:1")
    given.load("a:1").in_flight = 1
    given.endpoints.track([(0, "a:1"), (1, "c:1")])
    loads = given.endpoints.loads
    assert loads.keys() == {(0, "a:1"), (1, "c:1")}
    assert (loads[0, "a:1"].in_flight, loads[1, "c:1"].in_flight) == (1, 0)


def test_what_is_given_to_an_endpoint_that_left_is_nothing() -> None:
    given = scene("a:1", "b:1")
    given.endpoints.give((0, "c:1"))
    assert (0, "c:1") not in given.endpoints.loads
