"""A span for each request that is forwarded and sampled, and one within it for each attempt.

The span of the attempt is the context for its endpoint.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

from opentelemetry.trace import Span, SpanKind, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.dispatch.answers import Answer, StreamedAnswer
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import Asked, Exchanges, Metadata, Reply
from server.dispatch.overtime import Trip
from server.routing.counters import Counters
from server.routing.endpoints import Target
from server.routing.errors import RoutingError
from server.routing.query import Query
from server.routing.router import Router
from server.telemetry.attempt_span import (
    describe_attempt,
    known_before,
    mark_failed,
    operation_of,
)
from server.telemetry.traced_exchanges import traced
from server.telemetry.tracing import sampled

_CONTEXT = TraceContextTextMapPropagator()


class Tracing(NamedTuple):
    """Who makes spans, and of what part of the calls whose caller says nothing."""

    tracer: Tracer
    ratio: float
    content: bool = False  # spans hold what was asked and answered


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
        exchanges = traced(exchanges, content=tracing.content)
        super().__init__(router, exchanges, counters, now_s=now_s, chance=chance)
        self._tracing = tracing

    async def infer(
        self, query: Query, asked: Asked, *, timeout_s: float | None, metadata: Metadata = ()
    ) -> Answer:
        if (carrier := self._carrier(metadata)) is None:
            return await super().infer(query, asked, timeout_s=timeout_s, metadata=metadata)
        with self._of_request(carrier) as span:
            answer = await super().infer(query, asked, timeout_s=timeout_s, metadata=metadata)
            _describe(span, answer)
            return answer

    @asynccontextmanager
    async def stream(
        self, query: Query, asked: Asked, *, timeout_s: float | None, metadata: Metadata = ()
    ) -> AsyncIterator[StreamedAnswer]:
        streaming = super().stream(query, asked, timeout_s=timeout_s, metadata=metadata)
        if (carrier := self._carrier(metadata)) is None:
            async with streaming as answer:
                yield answer
            return
        with self._of_request(carrier) as span:
            async with streaming as answer:
                try:
                    yield answer
                finally:
                    _describe(span, answer)

    async def _ask(self, trip: Trip, target: Target) -> Reply:
        if not get_current_span().is_recording():
            return await super()._ask(trip, target)
        before = len(trip.journey.attempts)
        with self._of_attempt(trip.asked, target) as span:
            carrier = dict(trip.metadata)
            _CONTEXT.inject(carrier)
            trip.metadata = tuple(carrier.items())
            try:
                return await super()._ask(trip, target)
            finally:
                for attempt in trip.journey.attempts[before:]:
                    describe_attempt(span, attempt)

    def _carrier(self, metadata: Metadata) -> dict[str, str] | None:
        """The caller's context, of a call that is sampled."""
        carrier = dict(metadata)
        ratio = self._tracing.ratio
        return carrier if sampled(carrier.get("traceparent"), ratio, self._chance()) else None

    @contextmanager
    def _of_request(self, carrier: dict[str, str]) -> Iterator[Span]:
        """An error is put down by its reason: its words are its caller's."""
        with self._tracing.tracer.start_as_current_span(
            "infer",
            _CONTEXT.extract(carrier),
            SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except Exception as error:
                mark_failed(span, _reason(error))
                raise

    @contextmanager
    def _of_attempt(self, asked: Asked, target: Target) -> Iterator[Span]:
        with self._tracing.tracer.start_as_current_span(
            f"{operation_of(asked)} {target.model.upstream_name}",
            kind=SpanKind.CLIENT,
            attributes=known_before(target, asked),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, RoutingError) else type(error).__name__


def _describe(span: Span, answer: Answer | StreamedAnswer) -> None:
    span.set_attribute("turnout.traffic_class", answer.decision.reading.cell.traffic_class)
    span.set_attribute("turnout.model", answer.target.model.name)
    span.set_attribute("turnout.plan_id", answer.decision.grounds.plan_id)
    span.set_attribute("turnout.attempts", answer.attempts)
    span.set_attribute("turnout.cost_nano_usd", answer.cost_nano_usd)
