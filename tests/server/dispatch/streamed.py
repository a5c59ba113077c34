"""A worker before endpoints that answer in pieces, on a virtual clock."""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field

from server.config.classes import ClassConfig, SloConfig
from server.config.models import HealthConfig, ModelConfig, PriceConfig
from server.dispatch.answers import StreamedAnswer
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import (
    CHAT,
    Asked,
    Bytes,
    EndpointError,
    EventStream,
    Exchanges,
    Metadata,
)
from server.routing.catalog import Cell, Model, PayloadKind
from server.routing.counters import Counters, Counts, Leg
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.errors import RoutingError
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from server.status_code import Code
from server.token_usage import TokenUsage
from server.transport.held_bytes import HeldBytes
from tests.server.routing.configs import config, model

CELL = Cell("chat", "-", "other", "s0", PayloadKind.TENSORS)
SMALL, LARGE = (0, "s:1"), (1, "l:1")
DEADLINE_S = 60.0
EVENT = b'data: {"a": 1}\n\n'
ASKED = Asked(b"{}", CHAT, streams=True)
PRICE = PriceConfig(request_usd=1e-6, input_usd_per_mtok=1.0, output_usd_per_mtok=10.0)
READ_TOKENS = 7
# What comes next: a piece, a pause in seconds, or how it breaks off.
Step = bytes | float | Code


@dataclass(slots=True)
class Endpoint:
    """Answers as its steps have it, to each who asks."""

    steps: Iterable[Step] = (EVENT, EVENT)
    refuses: Code | None = None  # before the head of an answer
    usage: TokenUsage | None = None
    asked: int = 0
    is_open: int = 0  # exchanges that have not ended
    events: int = 0  # that were taken
    pieces: int = 0

    async def open(self) -> EventStream:
        self.asked += 1
        if self.refuses is not None:
            raise EndpointError(self.refuses, "no")
        events = EventStream(self._pieces())
        events.usage = self.usage
        return events

    async def _pieces(self) -> AsyncGenerator[Bytes, None]:
        self.is_open += 1
        try:
            for step in self.steps:
                if isinstance(step, bytes):
                    self.events += step.count(EVENT)
                    self.pieces += 1
                    yield step
                elif isinstance(step, Code):
                    raise EndpointError(step, "cut")
                else:
                    await asyncio.sleep(step)
        finally:
            self.is_open -= 1


def priced(name: str, address: str) -> ModelConfig:
    return model(name, endpoints=(address,), price=PRICE)


@dataclass(slots=True)
class Streams:
    """A plan that gives everything to small, and then to large."""

    small: Endpoint = field(default_factory=Endpoint)
    large: Endpoint = field(default_factory=Endpoint)
    slo: SloConfig | None = None
    failures_max: int = 1
    held: HeldBytes = field(default_factory=lambda: HeldBytes(bytes_max=2**30, in_all_max=2**30))
    counters: Counters = field(default_factory=Counters)
    router: Router = field(init=False)
    dispatcher: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        loop, chance = asyncio.get_running_loop(), random.Random(7).random
        sealer = Sealer(bytes(KEY_BYTES), boot=7)
        self.router = Router(Selector(), sealer, self.counters, chance=chance)
        health = HealthConfig(consecutive_failures_max=self.failures_max, ejection_s=3_600)
        models = (priced("small", "s:1"), priced("large", "l:1"))
        classes = [ClassConfig(name="chat", default=True, slo=self.slo, deadline_s=DEADLINE_S)]
        self.router.configure(config(*models, classes=classes, health=health))
        self.router.publish(WeightTable("p1", {CELL: ((0, 1.0, 1_000),)}))
        self.dispatcher = Dispatcher(
            self.router,
            Exchanges({}, {"oip": self._open}, self.held),
            self.counters,
            now_s=loop.time,
            chance=lambda: 0.9,
        )

    async def _open(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> EventStream:
        return await (self.small if address == "s:1" else self.large).open()

    async def read(
        self, *, pause_s: float = 0.0, timeout_s: float | None = None, most: int | None = None
    ) -> "Read":
        """Takes what comes, so many pieces at most, with a pause after each."""
        query = Query(payload_kind=PayloadKind.TENSORS, input_tokens=READ_TOKENS)
        read = Read()
        try:
            async with self.dispatcher.stream(query, ASKED, timeout_s=timeout_s) as answer:
                read.answer = answer
                async for piece in answer.pieces:
                    read.pieces.append(bytes(piece))
                    if len(read.pieces) == most:
                        break
                    if pause_s:
                        await asyncio.sleep(pause_s)
        except RoutingError as error:
            read.error = error
        return read

    def counts(self, model: str = "small") -> Counts:
        return self.counters.get(Leg(CELL, "small", model))

    def is_counted(self, model: str) -> bool:
        try:
            return self.counts(model).attempts > 0
        except KeyError:
            return False

    def is_ejected(self, key: tuple[int, str] = SMALL) -> bool:
        return self.router.health.is_ejected(key)

    def nothing_is_left(self) -> bool:
        loads = self.router.endpoints.loads.values()
        is_free = all(load.in_flight == 0 for load in loads) and not self.held.in_all
        return is_free and not self.small.is_open and not self.large.is_open


@dataclass(slots=True)
class Read:
    """What a caller got."""

    pieces: list[bytes] = field(default_factory=list)
    answer: StreamedAnswer | None = None
    error: RoutingError | None = None

    @property
    def whole(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def began(self) -> StreamedAnswer:
        assert self.answer is not None
        return self.answer


def charge(*, read: int = READ_TOKENS, written: int) -> int:
    """Nano-dollars of an answer by PRICE."""
    return 1_000 + read * 1_000 + written * 10_000
