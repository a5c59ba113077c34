"""Carries out what routing decides: asks an endpoint, tries the next model, counts what it took."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from server.routing.catalog import Model
from server.routing.counters import Counters
from server.routing.endpoints import Target
from server.routing.errors import DeadlinePast, UpstreamFailed
from server.routing.journey import MARGIN_S, Fate, Journey, counted
from server.routing.query import Query
from server.routing.router import Decision, Router
from server.routing.tokens import Kind
from server.routing.verdicts import VERDICTS, Blame
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
    """One Infer on its way: the journey, and what has to be carried along."""

    decision: Decision
    tenant: str
    request: Bytes
    metadata: Metadata
    journey: Journey


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
        """Asks until a model answers; raises a RoutingError. Has to be run by a task.

        Without a timeout the class's deadline holds.
        """
        trip = self._set_out(query, request, timeout_s, metadata)
        fate = Fate.LEFT
        try:
            response = await self._ask_until_answered(trip)
            fate = Fate.ANSWERED
        except UpstreamFailed:
            fate = Fate.FAILED
            raise
        finally:
            trip.journey.end(fate, self._now_s())
            counted(trip.journey, self._counters)
        return self._arrive(trip, response)

    def _set_out(
        self, query: Query, request: Bytes, timeout_s: float | None, metadata: Metadata
    ) -> _Trip:
        now_s = self._now_s()
        if timeout_s is not None and timeout_s <= MARGIN_S:
            raise DeadlinePast("the deadline leaves no time to ask a model: allow more")
        decision = self._router.decide(query, now_s=now_s, chance=self._chance(), forwarded=True)
        traffic_class = decision.grounds.traffic_class
        if timeout_s is None:
            timeout_s = traffic_class.deadline_s
        journey = Journey(
            decision.reading.cell,
            decision.target.model.name,
            begun_s=now_s,
            slo_s=traffic_class.slo_s,
            deadline_s=now_s + timeout_s,
        )
        return _Trip(decision, query.tenant, request, metadata, journey)

    async def _ask_until_answered(self, trip: _Trip) -> Bytes:
        failure: UpstreamFailed | None = None
        while (target := self._next_target(trip)) is not None:
            try:
                return await self._ask(trip, target)
            except EndpointError as error:
                failure = self._judge(trip, error)
        try:
            raise failure or DeadlinePast("no time is left to ask a model: allow more")
        finally:
            del failure  # or with its traceback, which has this frame, it would be a cycle

    def _next_target(self, trip: _Trip) -> Target | None:
        journey, decision = trip.journey, trip.decision
        if not journey.goes_on(self._now_s()):
            return None
        if not journey.attempts:
            return decision.target
        asked = [attempt.target for attempt in journey.attempts]
        return self._router.next_target(asked, decision.grounds.fallbacks)

    async def _ask(self, trip: _Trip, target: Target) -> Bytes:
        """One attempt, which is ended however it ends."""
        load = self._router.endpoints.loads[target.key]
        load.attempts += 1
        load.in_flight += 1
        begun_s = self._now_s()
        attempt = trip.journey.begin(target, begun_s)
        left_s = trip.journey.time_left_s(begun_s)
        try:
            response = await self._send(
                target.endpoint, target.model, trip.request, left_s, trip.metadata
            )
        except EndpointError as error:
            attempt.ended(Fate.FAILED, self._now_s(), error.code)
            raise
        except BaseException:
            attempt.ended(Fate.LEFT, self._now_s())
            raise
        finally:
            load.in_flight -= 1
        attempt.answered(self._now_s(), input_tokens=trip.decision.reading.input_tokens)
        self._router.health.succeeded(target.key, sent_s=begun_s)
        return response

    def _judge(self, trip: _Trip, error: EndpointError) -> UpstreamFailed:
        """Tells health of a failure, and what the caller hears if nothing better follows."""
        target, verdict = trip.journey.attempts[-1].target, VERDICTS[error.code]
        if verdict.blame is Blame.ENDPOINT:
            self._router.health.failed(target.key, now_s=self._now_s())
        elif verdict.blame is Blame.SUSPECT:
            self._router.health.suspect(target.key, trip.tenant, now_s=self._now_s())
        return UpstreamFailed(
            f"model {target.model.name}: {str(error)[:DETAIL_CHARS_MAX]}",
            reason=f"UPSTREAM_{error.code.name}",
            code=verdict.caller_sees,
        )

    def _arrive(self, trip: _Trip, response: Bytes) -> Answer:
        journey = trip.journey
        target = journey.attempts[-1].target
        return Answer(
            response=response,
            decision=trip.decision,
            decision_id=self._router.seal(
                trip.decision, Kind.INFER, target.model, now_s=journey.ended_s
            ),
            target=target,
            attempts=len(journey.attempts),
            cost_nano_usd=journey.cost_nano_usd,
            latency_s=journey.latency_s,
        )
