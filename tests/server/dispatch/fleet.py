"""A worker before endpoints that answer, fail or hang, on a virtual clock."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from server.config.classes import ClassConfig, SloConfig
from server.config.models import HealthConfig, ModelConfig, PriceConfig
from server.dispatch.answers import Answer
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import TENSORS, Asked, EndpointError, Exchanges, Metadata, Reply
from server.routing.catalog import Cell, Model, PayloadKind
from server.routing.counters import Counters, Counts, Leg
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.errors import UpstreamFailed
from server.routing.query import Query
from server.routing.retry_budget import BUDGET_MAX
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from server.status_code import Code
from tests.server.routing.configs import config, model

CELL = Cell("chat", "-", "other", "s0", PayloadKind.TENSORS)
SLO = SloConfig(ms=1_000, fraction=0.9)
BURST = BUDGET_MAX // 4
ODD = b"odd"  # what small cannot read
LONG, LONG_S = b"long", 5.0  # what takes everybody so long, unless the endpoint hangs
Behaviour = Callable[[], Awaitable[bytes]]
Outcome = Answer | UpstreamFailed | asyncio.CancelledError


def answers(after_s: float = 0.1) -> Behaviour:
    async def behave() -> bytes:
        await asyncio.sleep(after_s)
        return b"answer"

    return behave


def raises(code: Code, after_s: float = 0.01) -> Behaviour:
    async def behave() -> bytes:
        await asyncio.sleep(after_s)
        raise EndpointError(code, "no")

    return behave


async def hangs() -> bytes:
    """Nothing ever comes of the call, as where an endpoint answers PINGs alone."""
    await asyncio.Event().wait()
    return b""


def served(name: str, *endpoints: str) -> ModelConfig:
    return model(
        name, endpoints=endpoints, price=PriceConfig(request_usd=1e-6, busy_second_usd=1e-3)
    )


@dataclass(slots=True)
class Fleet:
    """Endpoints by address, and a worker before them whose plan is all the first model's."""

    behaviours: dict[str, Behaviour]
    router: Router
    counters: Counters
    dispatcher: Dispatcher = field(init=False)
    asked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.dispatcher = Dispatcher(
            self.router,
            Exchanges({"oip": self._send}),
            self.counters,
            now_s=loop.time,
            chance=lambda: 0.9,
        )

    async def _send(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> Reply:
        self.asked[address] += 1
        if asked.body == ODD and address.startswith("s"):
            raise EndpointError(Code.INTERNAL, "shape")
        try:
            async with asyncio.timeout(timeout_s):
                if asked.body == LONG:
                    await asyncio.sleep(LONG_S)
                return Reply(await self.behaviours[address]())
        except TimeoutError:
            raise EndpointError(Code.DEADLINE_EXCEEDED, "too late") from None

    async def infer(
        self, deadline_s: float = 10, traffic_class: str = "chat", request: bytes = b""
    ) -> Outcome:
        query = Query(payload_kind=PayloadKind.TENSORS, traffic_class=traffic_class)
        try:
            return await self.dispatcher.infer(query, Asked(request, TENSORS), timeout_s=deadline_s)
        except (UpstreamFailed, asyncio.CancelledError) as error:
            return error

    async def calls(
        self,
        count: int,
        *,
        every_s: float = 1.0,
        deadline_s: float = 10,
        traffic_class: str = "chat",
        request: bytes = b"",
    ) -> list[Outcome]:
        """So many requests, evenly in time, each from its arrival to its end."""
        tasks = []
        for _ in range(count):
            tasks.append(asyncio.create_task(self.infer(deadline_s, traffic_class, request)))
            await asyncio.sleep(every_s)
        return await asyncio.gather(*tasks)

    def counts(self, asked: str, first: str = "small") -> Counts:
        return self.counters.get(Leg(CELL, first, asked))

    def ejected(self) -> set[str]:
        self.router.health.refresh(asyncio.get_running_loop().time())
        return {key[1] for key in self.router.endpoints.loads if self.router.health.is_ejected(key)}


def fleet(
    behaviours: dict[str, Behaviour],
    models: Iterable[ModelConfig] = (served("small", "s:1"), served("large", "l:1")),
    slo: SloConfig | None = SLO,
    ejection_s: float = 3_600,
    failures_max: int = 5,
    others: Iterable[str] = (),
) -> Fleet:
    """Of `others`, classes beside chat, none has an SLO."""
    counters = Counters()
    sealer, chance = Sealer(bytes(KEY_BYTES), boot=7), random.Random(7).random
    router = Router(Selector(), sealer, counters, chance=chance)
    health = HealthConfig(
        consecutive_failures_max=failures_max, ejection_s=ejection_s, ejection_s_max=ejection_s
    )
    classes = [
        ClassConfig(name="chat", default=True, slo=slo),
        *[ClassConfig(name=name) for name in others],
    ]
    router.configure(config(*models, classes=classes, health=health))
    all_small = ((0, 1.0, 1_000),)
    router.publish(WeightTable("p1", {CELL: all_small}, dict.fromkeys(others, all_small)))
    return Fleet(behaviours, router, counters)


def answered(outcomes: Iterable[Outcome]) -> list[Answer]:
    return [one for one in outcomes if isinstance(one, Answer)]
