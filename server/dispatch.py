"""Carries out what routing decides: asks an endpoint, tries the next model, counts what it took."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from server.routing.attempts import MARGIN_S, Attempts, Blame
from server.routing.catalog import Model
from server.routing.counters import Counters, Counts, latency_bucket
from server.routing.errors import DeadlinePast, UpstreamFailed
from server.routing.health import Endpoint
from server.routing.query import Query
from server.routing.router import Decision, Router, Target
from server.routing.tokens import Kind
from server.status_code import Code

# Of an endpoint's own words, what an error passes on to the caller.
DETAIL_CHARS_MAX = 512

Bytes: TypeAlias = bytes | memoryview  # large messages are views of where they were received
Metadata = tuple[tuple[str, str], ...]
# Sends a request to an address of a model within a time, and returns what it answered; raises
# EndpointError. Cancelling it cancels the call.
Send = Callable[[str, Model, Bytes, float, Metadata], Awaitable[Bytes]]


class EndpointError(Exception):
    """An endpoint answered with a status, or could not be reached."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered, and what it took."""

    response: Bytes
    decision: Decision
    decision_id: str
    target: Target  # the one that answered
    attempts: int
    cost_nano_usd: int  # of all attempts
    latency_s: float


@dataclass(slots=True)
class _Trip:
    """One Infer on its way."""

    decision: Decision
    tenant: str
    request: Bytes
    metadata: Metadata
    attempts: Attempts
    begun_s: float
    target: Target  # asked last
    cost_nano_usd: int = 0


class Dispatcher:
    """Sees each Infer through, from the decision to an answer or an error."""

    def __init__(
        self,
        router: Router,
        send: Send,
        counters: Counters,
        *,
        now_s: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """`chance` is uniform in [0, 1): it draws the audit sample."""
        self._router = router
        self._send = send
        self._counters = counters
        self._now_s = now_s
        self._chance = chance

    async def infer(
        self, query: Query, request: Bytes, *, timeout_s: float | None, metadata: Metadata = ()
    ) -> Answer:
        """Asks until a model answers; raises a RoutingError.

        Without a timeout the class's deadline holds.
        """
        trip = self._set_out(query, request, timeout_s, metadata)
        try:
            response = await self._ask_until_answered(trip)
        except UpstreamFailed as failure:
            if not failure.callers_fault:  # or one tenant's garbage would shape the plan
                self._count_completion(trip, failed=True)
            raise
        except asyncio.CancelledError:
            self._count_if_late(trip)
            raise
        finally:
            self._counts(trip, trip.decision.target.model).ended += 1
        return self._arrive(trip, response)

    def _set_out(
        self, query: Query, request: Bytes, timeout_s: float | None, metadata: Metadata
    ) -> _Trip:
        now_s = self._now_s()
        if timeout_s is not None and timeout_s <= MARGIN_S:
            raise DeadlinePast("the deadline leaves no time to ask a model: allow more")
        decision = self._router.decide(query, now_s=now_s, chance=self._chance(), forwarded=True)
        if timeout_s is None:
            timeout_s = decision.grounds.traffic_class.deadline_s
        models = (decision.target.model_index, *decision.grounds.fallbacks)
        return _Trip(
            decision=decision,
            tenant=query.tenant,
            request=request,
            metadata=metadata,
            attempts=Attempts(models, deadline_s=now_s + timeout_s),
            begun_s=now_s,
            target=decision.target,
        )

    async def _ask_until_answered(self, trip: _Trip) -> Bytes:
        failure: UpstreamFailed | None = None
        while (model := trip.attempts.next(self._now_s())) is not None:
            if trip.attempts.made > 1:
                trip.target = self._router.target(model)
            try:
                return await self._ask(trip)
            except EndpointError as error:
                failure = self._judge(trip, error)
        try:
            raise failure or DeadlinePast("no time is left to ask a model: allow more")
        finally:
            del failure  # or with its traceback, which has this frame, it would be a cycle

    async def _ask(self, trip: _Trip) -> Bytes:
        """One attempt, counted however it ends."""
        target = trip.target
        load = self._router.endpoints.loads[_endpoint(target)]
        load.attempts += 1
        load.in_flight += 1
        begun_s, ok = self._now_s(), False
        try:
            left_s = trip.attempts.time_left_s(begun_s)
            response = await self._send(
                target.endpoint, target.model, trip.request, left_s, trip.metadata
            )
            ok = True
        finally:
            load.in_flight -= 1
            self._count_attempt(trip, busy_s=self._now_s() - begun_s, ok=ok)
        self._router.health.succeeded(_endpoint(target), sent_s=begun_s)
        return response

    def _judge(self, trip: _Trip, error: EndpointError) -> UpstreamFailed:
        """Tells health of a failure, and what the caller hears if nothing better follows."""
        endpoint, now_s = _endpoint(trip.target), self._now_s()
        verdict = trip.attempts.failed(error.code)
        if verdict.blame is Blame.ENDPOINT:
            self._router.health.failed(endpoint, now_s=now_s)
        elif verdict.blame is Blame.SUSPECT:
            self._router.health.suspect(endpoint, trip.tenant, now_s=now_s)
        return UpstreamFailed(
            f"model {trip.target.model.name}: {str(error)[:DETAIL_CHARS_MAX]}",
            reason=f"UPSTREAM_{error.code.name}",
            code=verdict.caller_sees,
            callers_fault=not verdict.misses,
        )

    def _arrive(self, trip: _Trip, response: Bytes) -> Answer:
        latency_s = self._count_completion(trip, failed=False)
        model = trip.target.model
        return Answer(
            response=response,
            decision=trip.decision,
            decision_id=self._router.seal(
                trip.decision, Kind.INFER, model, now_s=trip.begun_s + latency_s
            ),
            target=trip.target,
            attempts=trip.attempts.made,
            cost_nano_usd=trip.cost_nano_usd,
            latency_s=latency_s,
        )

    def _count_attempt(self, trip: _Trip, *, busy_s: float, ok: bool) -> None:
        """A failed attempt costs the time it held the model, and no answer."""
        model = trip.target.model
        counts = self._counts(trip, model)
        counts.attempts += 1
        counts.busy_s += busy_s
        if ok:
            counts.answered += 1
            tokens = trip.decision.reading.input_tokens
            counts.input_tokens += tokens
            cost = model.cost_nano_usd(input_tokens=tokens, output_tokens=0, busy_s=busy_s)
        else:
            cost = model.failure_cost_nano_usd(busy_s=busy_s)
        trip.cost_nano_usd += cost
        counts.cost_nano_usd += cost

    def _count_completion(self, trip: _Trip, *, failed: bool) -> float:
        """Counts the whole request for the model it began with; returns its latency."""
        latency_s = self._now_s() - trip.begun_s
        slo_s = trip.decision.grounds.traffic_class.slo_s
        counts = self._counts(trip, trip.decision.target.model)
        counts.completed += 1
        counts.failed += failed
        counts.slo_missed += failed or (slo_s is not None and latency_s > slo_s)
        counts.latency_counts[latency_bucket(latency_s)] += 1
        return latency_s

    def _count_if_late(self, trip: _Trip) -> None:
        """A caller that gave up within the SLO says nothing of the model; a later one does."""
        slo_s = trip.decision.grounds.traffic_class.slo_s
        if slo_s is not None and self._now_s() - trip.begun_s > slo_s:
            self._count_completion(trip, failed=False)

    def _counts(self, trip: _Trip, model: Model) -> Counts:
        return self._counters.of(
            trip.decision.reading.cell, trip.decision.target.model.name, model.name
        )


def _endpoint(target: Target) -> Endpoint:
    return target.model_index, target.endpoint
