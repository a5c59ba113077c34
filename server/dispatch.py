"""Carries out what routing decides: asks an endpoint, tries the next model, counts what it took."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TypeAlias

from server.routing.catalog import Model
from server.routing.counters import Counters
from server.routing.endpoints import Target
from server.routing.errors import DeadlinePast, UpstreamFailed
from server.routing.experience import Experience
from server.routing.journey import MARGIN_S, Attempt, Fate, Journey, counted
from server.routing.query import Query
from server.routing.router import Decision, Router
from server.routing.tokens import Kind
from server.routing.verdicts import VERDICTS
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
        self._experience = Experience(router.health)

    async def infer(
        self, query: Query, request: Bytes, *, timeout_s: float | None, metadata: Metadata = ()
    ) -> Answer:
        """Asks until a model answers; raises a RoutingError. Has to be run by a task.

        Without a timeout the class's deadline holds.
        """
        trip = self._set_out(query, request, timeout_s, metadata)
        try:
            response = await self._ask_until_answered(trip)
        finally:
            self._conclude(trip.journey)
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
        return _Trip(decision, request, metadata, journey)

    async def _ask_until_answered(self, trip: _Trip) -> Bytes:
        failure: UpstreamFailed | None = None
        while (target := self._next_target(trip)) is not None:
            try:
                return await self._ask(trip, target)
            except EndpointError as error:
                failure = _failure(trip.journey.attempts[-1], error)
        try:
            raise failure or DeadlinePast("no time is left to ask a model: allow more")
        finally:
            del failure  # or with its traceback, which has this frame, it would be a cycle

    def _next_target(self, trip: _Trip) -> Target | None:
        journey = trip.journey
        if not journey.goes_on(self._now_s()):
            return None
        if not journey.attempts:
            return trip.decision.target
        last, target = journey.attempts[-1], self._another(trip)
        if target is None or target.model_index != last.target.model_index:
            return target
        # What a model has refused another is asked at once, but itself only within its budget.
        may_repeat = last.fate is Fate.GIVEN_UP or self._experience.may_repeat(last)
        return target if may_repeat else None

    def _another(self, trip: _Trip) -> Target | None:
        asked = [attempt.target for attempt in trip.journey.attempts]
        return self._router.next_target(asked, trip.decision.grounds.fallbacks)

    async def _ask(self, trip: _Trip, target: Target) -> Bytes:
        """One attempt, which is ended and told of however it ends."""
        journey, load = trip.journey, self._router.endpoints.loads[target.key]
        load.attempts += 1
        load.in_flight += 1
        self._router.slices.take(target.model_index)
        if journey.attempts:  # else it was given as it was decided
            self._router.endpoints.give(target.key)
        attempt = journey.begin(target, self._now_s())
        try:
            response = await self._within_its_time(trip, attempt)
            tokens = trip.decision.reading.input_tokens
            attempt.answered(self._now_s(), input_tokens=tokens)
        except _GivenUp:
            attempt.ended(Fate.GIVEN_UP, self._now_s())
            raise
        except EndpointError as error:
            attempt.ended(Fate.FAILED, self._now_s(), error.code)
            raise
        except BaseException:
            attempt.left(self._now_s(), is_due=journey.is_due(self._now_s()))
            raise
        finally:
            load.in_flight -= 1
            self._router.slices.give_back(target.model_index)
            self._experience.observe(journey, attempt)
        return response

    async def _within_its_time(self, trip: _Trip, attempt: Attempt) -> Bytes:
        """What the endpoint answers; raises EndpointError.

        The attempt may take all the time that is left, unless by the end of its own it may be given
        up: that is looked at again each time it has had as much.
        """
        own_s = self._experience.own_time_s(trip.journey, attempt)
        if not trip.journey.may_move_on(attempt.begun_s + own_s, own_s):
            return await self._sent(trip, attempt)
        scope = asyncio.timeout(None)
        gives_up = partial(self._gives_up, trip, attempt, own_s)
        watch = _Watch(own_s, gives_up, scope)
        try:
            async with scope:
                return await self._sent(trip, attempt)
        except TimeoutError:
            if not scope.expired():
                raise
            raise _GivenUp(own_s) from None
        finally:
            watch.stop()

    def _sent(self, trip: _Trip, attempt: Attempt) -> Awaitable[Bytes]:
        target, left_s = attempt.target, trip.journey.time_left_s(attempt.begun_s)
        return self._send(target.endpoint, target.model, trip.request, left_s, trip.metadata)

    def _gives_up(self, trip: _Trip, attempt: Attempt, own_s: float) -> bool:
        """If time is left for one more, a token for it, and somebody to ask."""
        in_time = trip.journey.may_move_on(self._now_s(), own_s)
        if not in_time or not self._experience.may_repeat(attempt):
            return False
        another = self._another(trip)
        if another is None or self._router.health.is_ejected(another.key):
            return False
        self._experience.give_up(attempt)
        return True

    def _conclude(self, journey: Journey) -> None:
        journey.ended_s = self._now_s()
        self._experience.conclude(journey)
        counted(journey, self._counters)

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


class _GivenUp(EndpointError):
    """Nothing came within the attempt's own time, and somebody else may be asked."""

    def __init__(self, own_s: float) -> None:
        super().__init__(Code.DEADLINE_EXCEEDED, f"no answer came within {own_s:.3g} s")


class _Watch:
    """Ends a scope once its time is over, if it may; else looks again after as long."""

    def __init__(
        self, seconds: float, gives_up: Callable[[], bool], scope: asyncio.Timeout
    ) -> None:
        self._seconds = seconds
        self._gives_up = gives_up
        self._scope = scope
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(seconds, self._look)

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        if self._gives_up():
            self._scope.reschedule(-inf)  # now
        else:
            self._timer = self._loop.call_later(self._seconds, self._look)


def _failure(attempt: Attempt, error: EndpointError) -> UpstreamFailed:
    """What the caller hears if nothing better follows."""
    return UpstreamFailed(
        f"model {attempt.target.model.name}: {str(error)[:DETAIL_CHARS_MAX]}",
        reason=f"UPSTREAM_{error.code.name}",
        code=VERDICTS[error.code].caller_sees,
    )
