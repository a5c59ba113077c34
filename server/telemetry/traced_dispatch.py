"""A span for each Infer that is sampled, and its context passed on to the endpoint."""

from collections.abc import Callable
from typing import NamedTuple

from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.dispatch.dispatcher import Answer, Dispatcher
from server.dispatch.exchange import Bytes, Exchanges, Metadata
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
        self, query: Query, request: Bytes, *, timeout_s: float | None, metadata: Metadata = ()
    ) -> Answer:
        carrier = dict(metadata)
        if not sampled(carrier.get("traceparent"), self._tracing.ratio, self._chance()):
            return await super().infer(query, request, timeout_s=timeout_s, metadata=metadata)
        parent = _CONTEXT.extract(carrier)
        with self._tracing.tracer.start_as_current_span("infer", parent, SpanKind.SERVER) as span:
            _CONTEXT.inject(carrier)
            answer = await super().infer(
                query, request, timeout_s=timeout_s, metadata=tuple(carrier.items())
            )
            span.set_attribute("turnout.traffic_class", answer.decision.reading.cell.traffic_class)
            span.set_attribute("turnout.model", answer.target.model.name)
            span.set_attribute("turnout.plan_id", answer.decision.grounds.plan_id)
            span.set_attribute("turnout.attempts", answer.attempts)
            span.set_attribute("turnout.cost_nano_usd", answer.cost_nano_usd)
            return answer
