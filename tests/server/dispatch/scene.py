"""A dispatcher before models that behave as they are set to."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from server.config.classes import ClassConfig, SloConfig
from server.config.models import HealthConfig, PriceConfig
from server.dispatch.answers import Answer
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import (
    TENSORS,
    Asked,
    Bytes,
    EndpointError,
    Exchanges,
    Metadata,
    Reply,
)
from server.routing.catalog import Cell, Model, PayloadKind
from server.routing.counters import Counters, Counts, Leg
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.errors import UpstreamFailed
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from server.status_code import Code
from tests.server.routing.configs import config, model

KEY = bytes(KEY_BYTES)
CELL = Cell("chat", "-", "other", "s0", PayloadKind.TENSORS)
START_S = 1_024.0
SMALL, LARGE = (0, "small:8001"), (1, "large:8001")
MODELS = (
    model("small", price=PriceConfig(request_usd=1e-6, busy_second_usd=1e-3)),
    model("large", price=PriceConfig(request_usd=2e-6, busy_second_usd=4e-3)),
    model("third", price=PriceConfig(request_usd=1)),
)
CLASSES = (
    ClassConfig(
        name="chat",
        default=True,
        slo=SloConfig(ms=500, fraction=0.9),
        deadline_s=20,
        audit_rate=0.5,
    ),
)
HEALTH = HealthConfig(consecutive_failures_max=1, ejection_s=5)
Behaviour = bytes | Reply | Code | EndpointError


@dataclass(slots=True)
class Upstream:
    """Behaves as told, model by model; each attempt takes so long on the clock."""

    behaviours: dict[str, Behaviour]
    took_s: float = 0.125
    now_s: float = START_S
    asked: list[tuple[str, str, Bytes, float, Metadata]] = field(default_factory=list)
    message: str = "out of memory"
    hold: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    on_ask: Callable[[], None] = lambda: None

    async def send(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> Reply:
        self.asked.append((address, model.name, asked.body, timeout_s, metadata))
        self.on_ask()
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        self.now_s += self.took_s
        behaviour = self.behaviours[model.name]
        if isinstance(behaviour, Code):
            raise EndpointError(behaviour, self.message)
        if isinstance(behaviour, EndpointError):
            raise behaviour
        return behaviour if isinstance(behaviour, Reply) else Reply(behaviour)

    @property
    def models(self) -> list[str]:
        return [name for _, name, *_ in self.asked]


@dataclass(slots=True)
class Scene:
    """A dispatcher whose plan sends every request to small, then to large."""

    upstream: Upstream
    router: Router
    counters: Counters
    dispatcher: Dispatcher

    async def infer(self, *, timeout_s: float | None = 10, **query: Any) -> Answer:
        return await self.dispatcher.infer(
            Query(payload_kind=PayloadKind.TENSORS, **query),
            Asked(b"request", TENSORS),
            timeout_s=timeout_s,
            metadata=(("x-request-id", "r1"),),
        )

    async def fail(self, **query: Any) -> UpstreamFailed:
        with pytest.raises(UpstreamFailed) as failed:
            await self.infer(**query)
        return failed.value

    def counts(self, model: str, cell: Cell = CELL, first: str = "small") -> Counts:
        return self.counters.get(Leg(cell, first, model))

    def in_flight(self) -> list[int]:
        return [load.in_flight for load in self.router.endpoints.loads.values()]


def scene(chance: float = 0.9, **behaviours: Behaviour) -> Scene:
    upstream = Upstream({"small": b"1", "large": b"2", "third": b"3", **behaviours})
    counters = Counters()
    router = Router(Selector(), Sealer(KEY, boot=7), counters, chance=lambda: 0.5)
    router.configure(config(*MODELS, classes=CLASSES, health=HEALTH))
    router.publish(WeightTable("p1", {CELL: ((0, 1.0, 1_000),)}))
    dispatcher = Dispatcher(
        router,
        Exchanges({"oip": upstream.send}),
        counters,
        now_s=lambda: upstream.now_s,
        chance=lambda: chance,
    )
    return Scene(upstream, router, counters, dispatcher)
