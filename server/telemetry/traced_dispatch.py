"""A span for each request that is forwarded and sampled, and its context for the endpoint."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.dispatch.answers import Answer, StreamedAnswer
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import Asked, Exchanges, Metadata
from server.routing.counters import Counters
from server.routing.query import Query
from server.routing.router import Router
from server.telemetry.tracing import sampled

_CONTEXT = TraceContextTextMapPropagator()


class Tracing(NamedTuple):
    """Who makes spans, and of what part of the calls whose caller says nothing."""

    tracer: Tracer
    ratio: float


class TracedDispatcher(Dispatcher):
    """A dispatcher whose sampled calls can be followed."""

    def __init__(
        self,
        router: Router,
        exchanges: Exchanges,
        counters: Counters,
        tracing: Tracing,
        *,
        now_s: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        super().__init__(router, exchanges, counters, now_s=now_s, chance=chance)
        self._tracing = tracing

    async def infer(
        self, query: Query, asked: Asked, *, timeout_s: float | None, metadata: Metadata = ()
    ) -> Answer:
        if (carrier := self._carrier(metadata)) is None:
            return await super().infer(query, asked, timeout_s=timeout_s, metadata=metadata)
        parent = _CONTEXT.extract(carrier)
        with self._tracing.tracer.start_as_current_span("infer", parent, SpanKind.SERVER) as span:
            _CONTEXT.inject(carrier)
            answer = await super().infer(
                query, asked, timeout_s=timeout_s, metadata=tuple(carrier.items())
            )
            _describe(span, answer)
            return answer

    @asynccontextmanager
    async def stream(
        self, query: Query, asked: Asked, *, timeout_s: float | None, metadata: Metadata = ()
    ) -> AsyncIterator[StreamedAnswer]:
        carrier = self._carrier(metadata)
        if carrier is None:
            streaming = super().stream(query, asked, timeout_s=timeout_s, metadata=metadata)
            async with streaming as answer:
                yield answer
            return
        parent = _CONTEXT.extract(carrier)
        with self._tracing.tracer.start_as_current_span("infer", parent, SpanKind.SERVER) as span:
            _CONTEXT.inject(carrier)
            streaming = super().stream(
                query, asked, timeout_s=timeout_s, metadata=tuple(carrier.items())
            )
            async with streaming as answer:
                try:
                    yield answer
                finally:
                    _describe(span, answer)

    def _carrier(self, metadata: Metadata) -> dict[str, str] | None:
        """The caller's context, of a call that is sampled."""
        carrier = dict(metadata)
        ratio = self._tracing.ratio
        return carrier if sampled(carrier.get("traceparent"), ratio, self._chance()) else None


def _describe(span: Span, answer: Answer | StreamedAnswer) -> None:
    span.set_attribute("turnout.traffic_class", answer.decision.reading.cell.traffic_class)
    span.set_attribute("turnout.model", answer.target.model.name)
    span.set_attribute("turnout.plan_id", answer.decision.grounds.plan_id)
    span.set_attribute("turnout.attempts", answer.attempts)
    span.set_attribute("turnout.cost_nano_usd", answer.cost_nano_usd)
