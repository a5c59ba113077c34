"""A dispatcher that makes spans, before endpoints that do as they are told."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from server.config.classes import ClassConfig
from server.config.models import ModelConfig, PriceConfig
from server.config.schema import Config
from server.dispatch.exchange import (
    Asked,
    Bytes,
    EndpointError,
    EventStream,
    Exchanges,
    Metadata,
    Reply,
)
from server.routing.catalog import Model
from server.routing.counters import Counters
from server.routing.decision_id import Sealer
from server.routing.router import Router
from server.routing.selector import Selector
from server.status_code import Code
from server.telemetry.traced_dispatch import TracedDispatcher, Tracing
from server.token_usage import TokenUsage


def model(name: str, protocol: str, endpoint: str, **more: Any) -> ModelConfig:
    price = PriceConfig(request_usd=0.001)
    return ModelConfig(
        name=name, protocol=protocol, endpoints=(endpoint,), price=price, prior_accuracy=0.9, **more
    )


def config(*models: ModelConfig) -> Config:
    return Config(models=models, classes=(ClassConfig(name="all", default=True),))


class Traced:
    """What the dispatcher sent upstream, and the spans that it made."""

    def __init__(self, ratio: float, configured: Config, *, content: bool = False) -> None:
        self.sent: list[dict[str, str]] = []
        self.now_s = 0.0
        # What the next attempts meet: an answer, pieces of one, or a failure.
        self.script: list[bytes | Sequence[bytes] | Code] = []
        self.usage: TokenUsage | None = None
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        counters = Counters()
        router = Router(Selector(), Sealer(bytes(32), boot=1), counters, chance=lambda: 0.5)
        router.configure(configured)
        protocols = {one.protocol for one in configured.models}
        self.dispatcher = TracedDispatcher(
            router,
            Exchanges(dict.fromkeys(protocols, self._send), dict.fromkeys(protocols, self._open)),
            counters,
            Tracing(provider.get_tracer("test"), ratio, content),
            now_s=lambda: self.now_s,
            chance=lambda: 0.5,
        )

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    async def _open(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> EventStream:
        self.sent.append(dict(metadata))
        step = self.script.pop(0) if self.script else [b"data: {}\n\n"]
        if isinstance(step, Code):
            raise EndpointError(step, "the words of an endpoint")
        stream = EventStream(self._pieces(step))
        stream.usage = self.usage
        return stream

    async def _pieces(self, pieces: Sequence[Any]) -> AsyncGenerator[Bytes, None]:
        for piece in pieces:
            self.now_s += 0.25
            yield piece

    async def _send(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> Reply:
        self.sent.append(dict(metadata))
        step = self.script.pop(0) if self.script else b""
        if isinstance(step, Code):
            raise EndpointError(step, "the words of an endpoint")
        return Reply(b"".join([step] if isinstance(step, bytes) else step), self.usage)


def said(span: ReadableSpan) -> dict[str, Any]:
    """Its attributes."""
    return dict(span.attributes or {})
