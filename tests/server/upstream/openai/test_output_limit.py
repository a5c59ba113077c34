"""What a class lets a model write, on its way from the configuration to the endpoint."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.config.classes import ClassConfig
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import CHAT, EMBEDDINGS, Asked, Operation
from server.routing.catalog import PayloadKind
from server.routing.counters import Counters
from server.routing.decision_id import Sealer
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Selector
from server.upstream.upstreams import Upstreams
from tests.server.routing.configs import config, model
from tests.server.upstream.openai.endpoint import FakeEndpoint, saying, serving, whole

KINDS = {CHAT: PayloadKind.TEXT, EMBEDDINGS: PayloadKind.EMBEDDINGS}


@pytest.fixture
async def endpoint() -> AsyncIterator[FakeEndpoint]:
    made = FakeEndpoint()
    async with serving(made):
        yield made


async def sent(endpoint: FakeEndpoint, operation: Operation, **body: Any) -> dict[str, Any]:
    """What reaches an endpoint of a class that lets a model write 50 tokens."""
    endpoint.behaviour = saying(whole(b"{}"))
    serves = "chat" if operation is CHAT else "embeddings"
    served = model("m", protocol="openai", serves=serves, endpoints=(endpoint.url,))
    made = config(served, classes=(ClassConfig(name="c", default=True, output_tokens_max=50),))
    now_s, counters = asyncio.get_running_loop().time, Counters()
    router = Router(Selector(), Sealer(bytes(32), boot=7), counters, chance=lambda: 0.5)
    router.configure(made)
    upstreams = Upstreams({}, now_s=now_s)
    await upstreams.track(router.models())
    dispatcher = Dispatcher(router, upstreams.exchanges, counters, now_s=now_s, chance=lambda: 0.5)
    asked = Asked(json.dumps(body).encode(), operation)
    await dispatcher.infer(Query(payload_kind=KINDS[operation]), asked, timeout_s=20)
    await upstreams.close()
    reached: dict[str, Any] = json.loads(endpoint.requests[0].body)
    return reached


@pytest.mark.parametrize(
    ("body", "reached"),
    [
        ({}, {"max_completion_tokens": 50}),
        ({"max_tokens": 400}, {"max_tokens": 50}),
        ({"max_completion_tokens": 20}, {"max_completion_tokens": 20}),
    ],
)
async def test_a_chat_asks_for_no_more_than_its_class_lets_a_model_write(
    endpoint: FakeEndpoint, body: dict[str, Any], reached: dict[str, Any]
) -> None:
    assert await sent(endpoint, CHAT, **body) == {"model": "m", **reached}


async def test_what_writes_nothing_has_no_limit(endpoint: FakeEndpoint) -> None:
    assert await sent(endpoint, EMBEDDINGS, input="a") == {"model": "m", "input": "a"}
