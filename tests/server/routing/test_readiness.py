"""Who can be answered, by the catalog and what is ejected."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.classes import ClassConfig
from server.config.schema import Config
from server.routing.catalog import PayloadKind, bits, compile_catalog
from server.routing.readiness import Readiness, readiness
from tests.server.routing.configs import config, model

TENSORS = frozenset({PayloadKind.UNKNOWN, PayloadKind.TENSORS})
TEXT = frozenset({PayloadKind.UNKNOWN, PayloadKind.TEXT})
ALL = TENSORS | TEXT
BOTH = config(model("tensors"), model("text", protocol="openai"))


def of(made: Config, *down: int) -> Readiness:
    return readiness(compile_catalog(made), bits(down))


def test_whoever_has_a_candidate_is_ready() -> None:
    both = frozenset({"tensors", "text"})
    assert of(BOTH) == Readiness(ALL, TENSORS, frozenset({"chat"}), both)


@pytest.mark.parametrize(
    ("down", "kinds", "ready"),
    [(0, TEXT, {"text"}), (1, TENSORS, {"tensors"})],
)
def test_a_kind_whose_models_are_all_ejected_is_not_ready(
    down: int, kinds: frozenset[str], ready: set[str]
) -> None:
    left = of(BOTH, down)
    assert left.kinds == kinds
    assert left.models == ready


def test_nothing_is_ready_where_everything_is_ejected() -> None:
    left = of(BOTH, 0, 1)
    assert (left.kinds, left.models) == (frozenset(), frozenset())
    assert left.classes == {"chat"}


def test_a_model_that_is_drained_is_not_ready() -> None:
    left = of(config(model("small"), model("large", enabled=False)))
    assert left.kinds == TENSORS
    assert left.models == {"small"}
    assert of(config(model("small", enabled=False))).kinds == frozenset()


def test_one_ejected_model_of_two_leaves_a_candidate() -> None:
    assert of(config(model("small"), model("large")), 0).kinds == TENSORS


def test_a_model_without_endpoints_is_reached_by_callers_and_is_ready_but_not_for_infer() -> None:
    left = of(config(model("theirs", endpoints=())))
    assert left.models == {"theirs"}
    assert left.kinds == TENSORS
    assert left.forwarded == frozenset()


def test_each_class_of_the_configuration_has_a_place() -> None:
    classes = (ClassConfig(name="a", default=True), ClassConfig(name="b"))
    assert of(config(model("small"), classes=classes)).classes == {"a", "b"}


protocols = st.sampled_from(["oip", "openai"])
fleets = st.lists(st.tuples(protocols, st.booleans(), st.booleans()), min_size=1, max_size=6)


@given(fleets)
def test_a_kind_is_ready_exactly_where_an_enabled_model_that_takes_it_is_left(
    fleet: list[tuple[str, bool, bool]],
) -> None:
    models = [
        model(f"m{i}", protocol=protocol, enabled=enabled)
        for i, (protocol, enabled, _) in enumerate(fleet)
    ]
    found = of(config(*models), *(i for i, (_, _, down) in enumerate(fleet) if down))
    left = {protocol for protocol, enabled, down in fleet if enabled and not down}
    assert found.kinds == frozenset().union(
        *({"oip": TENSORS, "openai": TEXT}[protocol] for protocol in left)
    )
    assert found.forwarded == (TENSORS if "oip" in left else frozenset())
    assert replace(found, kinds=ALL, forwarded=ALL) == Readiness(
        ALL,
        ALL,
        frozenset({"chat"}),
        frozenset(f"m{i}" for i, (_, enabled, down) in enumerate(fleet) if enabled and not down),
    )
