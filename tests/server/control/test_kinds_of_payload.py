"""From a request to the plan and back: text and tensors of one class never meet."""

from collections import Counter

from server.config.classes import ClassConfig
from server.config.models import PriceConfig
from server.routing.catalog import PayloadKind
from server.routing.query import Query
from server.routing.selector import Basis
from tests.server.control.told import NOW_S
from tests.server.control.world import World
from tests.server.routing.configs import config, model

TENSORS = model("tensors", price=PriceConfig(request_usd=0.001))
CHAT = model("chat", protocol="openai", price=PriceConfig(request_usd=0.0001))


def world() -> World:
    found = config(TENSORS, CHAT, classes=(ClassConfig(name="all", default=True),))
    return World(found, {"tensors": lambda _: (0.01, None)}, NOW_S)


async def test_after_an_infer_of_tensors_text_of_the_class_is_planned_for_chat_models() -> None:
    found = world()
    text = Query(text="hello", payload_kind=PayloadKind.TEXT)
    await found.infer(1)
    found.route(text)
    found.plan()
    decision = found.route(text)
    assert decision.target.model.name == "chat"
    assert decision.grounds.pick.basis is Basis.PLAN


async def test_of_features_alone_every_model_may_take_a_share_whatever_was_inferred() -> None:
    found = world()
    await found.infer(100)
    found.route(Query())
    found.plan()
    decisions = [found.route(Query()) for _ in range(10)]
    assert Counter(d.target.model.name for d in decisions) == {"chat": 10}  # the cheaper one
    assert {d.grounds.pick.basis for d in decisions} == {Basis.PLAN}
