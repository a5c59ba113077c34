"""A model that its callers reach themselves, from the configuration to the plan and to Route."""

from collections import Counter
from pathlib import Path

import pytest

from server.config.file import load
from server.routing.catalog import PayloadKind
from server.routing.errors import NoCandidate
from server.routing.query import Query
from server.routing.selector import Basis
from tests.server.control.told import NOW_S
from tests.server.control.world import World

CONFIG = """\
models:
  - {name: own, protocol: openai, endpoints: [], price: {request_usd: 0.001}, prior_accuracy: 0.9}
  - {name: dear, protocol: openai, endpoints: ["a:1"], price: {request_usd: 1}, prior_accuracy: 0.9}
classes:
  - {name: all, default: true}
"""
TEXT = Query(text="hello", payload_kind=PayloadKind.TEXT)


@pytest.fixture
def world(tmp_path: Path) -> World:
    path = tmp_path / "turnout.yaml"
    path.write_text(CONFIG)
    return World(load(path), {}, NOW_S)


def test_it_is_planned_and_routed_to(world: World) -> None:
    world.route(TEXT)
    world.plan()
    decisions = [world.route(TEXT) for _ in range(10)]
    assert Counter(d.target for d in decisions) == {decisions[0].target: 10}
    assert (decisions[0].target.model.name, decisions[0].target.endpoint) == ("own", "")
    assert decisions[0].grounds.pick.basis is Basis.PLAN


async def test_infer_says_that_no_model_is_left_that_it_could_forward_to(world: World) -> None:
    with pytest.raises(NoCandidate, match="ask Route and call the model yourself"):
        await world.infer(1)
