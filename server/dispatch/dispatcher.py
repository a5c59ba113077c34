"""Sees requests through: asks an endpoint, tries the next model, counts what it took."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, aclosing

from server.dispatch.answers import Answer, StreamedAnswer
from server.dispatch.charging import end_answered
from server.dispatch.exchange import Asked, EndpointError, Exchanges, Metadata, Reply
from server.dispatch.failures import failure, telling
from server.dispatch.overtime import Overtime, Reserved, Trip
from server.dispatch.passage import Passage
from server.dispatch.reading import reading
from server.dispatch.relay import Relay
from server.routing.counters import Counters
from server.routing.decision_id import Kind
from server.routing.endpoints import EndpointLoad, Target
from server.routing.errors import UpstreamFailed
from server.routing.experience import Experience
from server.routing.journey import MARGIN_S, Attempt, Fate, Journey, count_journey, hold_time
from server.routing.query import Query
from server.routing.router import Router
from server.routing.succession import better_bet, successor
from server.status_code import Code


class Dispatcher:
    """Sees each Infer through, from the decision to an answer or an error."""

    def __init__(
        self,
        router: Router,
        exchanges: Exchanges,
        counters: Counters,
        *,
        now_s: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """`chance` is uniform in [0, 1): it draws the audit sample."""
        self._router = router
        self._exchanges = exchanges
        self._counters = counters
        self._now_s = now_s
        self._chance = chance
        self._experience = Experience(router.health)
        self._overtime = Overtime(self._wait_s, self._gives_up)
        self.on_ended: Callable[[Trip], None] | None = None  # is given each that has ended

    async def infer(
        self, query: Query, asked: Asked, *, timeout_s: float | None, metadata: Metadata = ()
    ) -> Answer:
        """Asks until a model answers; raises a RoutingError. Has to be run by a task.

        Without a timeout the class's deadline holds.
        """
        trip = self._set_out(query, asked, timeout_s, metadata)
        try:
            reply = await self._ask_until_answered(trip)
            trip.decision_id = self._seal(trip, trip.journey.attempts[-1].ended_s)
        finally:
            self._conclude(trip)
        return _arrive(trip, reply)

    def stream(
        self, query: Query, asked: Asked, *, timeout_s: float | None, metadata: Metadata = ()
    ) -> AbstractAsyncContextManager[StreamedAnswer]:
        """Entered once a model has begun to answer; raises a RoutingError, until then and within.

        Until then another may be asked, and none after it. Leaving ends the exchange.
        """
        relay = Relay(self._now_s, self._exchanges.held)
        carrying = self._carry(relay, query, asked, timeout_s, metadata)
        return reading(relay, carrying, self._now_s)

    async def _carry(
        self, relay: Relay, query: Query, asked: Asked, timeout_s: float | None, metadata: Metadata
    ) -> None:
        try:
            trip = self._set_out(query, asked, timeout_s, metadata)
            trip.relay = relay
            try:
                await self._ask_until_answered(trip)
            finally:
                trip.journey.blocked_s = relay.blocked_s
                self._conclude(trip)
                if trip.answer is not None:
                    trip.answer.conclude(trip.journey)
        except Exception as error:  # noqa: BLE001 - whoever reads the stream raises it
            relay.finish(error)
        except asyncio.CancelledError as error:
            relay.finish(error)
            raise
        else:
            relay.finish(None)

    def _set_out(
        self, query: Query, asked: Asked, timeout_s: float | None, metadata: Metadata
    ) -> Trip:
        now_s = self._now_s()
        if timeout_s is not None:
            hold_time(timeout_s)
        decision = self._router.decide(query, now_s=now_s, chance=self._chance(), forwarded=True)
        traffic_class = decision.grounds.traffic_class
        if timeout_s is None:
            timeout_s = traffic_class.deadline_s
            hold_time(timeout_s)
        if traffic_class.output_tokens_max is not None:
            asked = asked._replace(output_tokens_max=traffic_class.output_tokens_max)
        journey = Journey(
            decision.reading.cell,
            decision.target.model.name,
            begun_s=now_s,
            slo_s=traffic_class.slo_s,
            deadline_s=now_s + timeout_s,
            class_deadline_s=traffic_class.deadline_s,
        )
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("no task runs it: there would be nothing to give up")
        return Trip(decision, asked, metadata, journey, task, query.tenant, query.caller)

    async def _ask_until_answered(self, trip: Trip) -> Reply:
        target: Target | None = trip.decision.target
        failures: list[UpstreamFailed] = []
        while target is not None:
            try:
                return await self._ask(trip, target)
            except EndpointError as error:
                failures.append(failure(trip.journey.attempts[-1], error))
            target = self._next_target(trip)
        try:
            raise telling(failures)
        finally:
            del failures  # or with a traceback, which has this frame, they would be a cycle

    def _next_target(self, trip: Trip) -> Target | None:
        """Whom to ask where an attempt was not answered."""
        journey = trip.journey
        if not journey.goes_on(self._now_s()):
            return None
        if trip.reserved is not None:
            return trip.reserved.target
        target = successor(self._router, journey, trip.decision)
        if target is None or not self._experience.may_go_on(journey, journey.attempts[-1], target):
            return None
        return target

    async def _ask(self, trip: Trip, target: Target) -> Reply:
        """One attempt, which is ended and told of however it ends; raises EndpointError."""
        load = self._occupy(target) if trip.reserved is None else trip.reserved.load
        journey, attempt = trip.journey, self._begin(trip, target, load)
        try:
            left_s = journey.time_left_s(attempt.begun_s)
            if trip.relay is None:
                reply = await self._exchanges.whole[target.model.protocol](
                    target.endpoint, target.model, trip.asked, left_s, trip.metadata
                )
            else:
                reply = await self._pass_on(trip, trip.relay, attempt, left_s)
            end_answered(trip, attempt, reply.usage, self._router.table, now_s=self._now_s())
        except EndpointError as error:
            attempt.end_without_answer(Fate.FAILED, self._now_s(), error.code, error.retry_after_s)
            raise
        except asyncio.CancelledError:
            if self._overtime.was_given_up(trip):
                attempt.give_up(self._now_s())
                message = f"no answer came within {attempt.took_s:.3g} s"
                raise EndpointError(Code.DEADLINE_EXCEEDED, message) from None
            self._abandon(trip, attempt)
            raise
        finally:
            self._end(trip, attempt, load)
        return reply

    async def _pass_on(self, trip: Trip, relay: Relay, attempt: Attempt, left_s: float) -> Reply:
        """An answer in pieces, each as it comes."""
        _, model, endpoint = attempt.target
        open_stream = self._exchanges.streamed[model.protocol]
        events = await open_stream(endpoint, model, trip.asked, left_s, trip.metadata)
        async with aclosing(events.pieces) as pieces:
            first = await anext(pieces, None)
            if first is None:
                raise EndpointError(Code.INTERNAL, "its answer ended before it began")
            answer = trip.answer = relay.answer = self._begin_answer(trip, attempt, relay)
            await self._passage(trip, attempt, relay).carry(first, pieces)
        answer.usage = events.usage
        return Reply(b"", events.usage)

    def _begin_answer(self, trip: Trip, attempt: Attempt, relay: Relay) -> StreamedAnswer:
        """From here on nobody else is asked, and it is not given up for another."""
        now_s = self._now_s()
        self._overtime.back(trip)
        self._experience.hear(attempt, now_s)
        attempt.begin_answer(now_s, input_tokens=trip.decision.reading.input_tokens)
        trip.decision_id = self._seal(trip, now_s)
        return StreamedAnswer(
            decision=trip.decision,
            decision_id=trip.decision_id,
            target=attempt.target,
            attempts=len(trip.journey.attempts),
            pieces=relay,
        )

    def _passage(self, trip: Trip, attempt: Attempt, relay: Relay) -> Passage:
        return Passage(
            relay,
            attempt,
            self._now_s,
            deadline_s=trip.journey.deadline_s - MARGIN_S,
            silence_s=self._experience.silence_s(trip.journey, attempt),
        )

    def _abandon(self, trip: Trip, attempt: Attempt) -> None:
        """Its caller is gone; one that did not read was not made to wait."""
        now_s, relay = self._now_s(), trip.relay
        is_due = trip.journey.is_due(now_s) and not (relay is not None and relay.is_blocked)
        attempt.abandon(now_s, is_due=is_due)

    def _occupy(self, target: Target) -> EndpointLoad:
        """Takes what an attempt needs, before or as it begins."""
        load = self._router.endpoints.loads[target.key]
        load.in_flight += 1
        self._router.slices.take(target.model_index)
        return load

    def _release(self, target: Target, load: EndpointLoad) -> None:
        load.in_flight -= 1
        self._router.slices.give_back(target.model_index)

    def _begin(self, trip: Trip, target: Target, load: EndpointLoad) -> Attempt:
        trip.reserved = None
        load.attempts += 1
        if trip.journey.attempts:  # else it was given as it was decided
            self._router.endpoints.give(target.key)
        self._overtime.sent(trip)
        return trip.journey.begin(target, self._now_s())

    def _end(self, trip: Trip, attempt: Attempt, load: EndpointLoad) -> None:
        self._overtime.back(trip)
        self._release(attempt.target, load)
        if attempt.fate is None:  # something broke down
            attempt.end_without_answer(Fate.LEFT, self._now_s())
        self._experience.observe(trip.journey, attempt)

    def _wait_s(self, trip: Trip) -> float | None:
        """How long the attempt that is out may go on before it is to be asked for."""
        journey, attempt = trip.journey, trip.journey.attempts[-1]
        trip.own_s = self._experience.own_time_s(journey, attempt)
        if not journey.may_move_on(attempt.begun_s + trip.own_s, trip.own_s):
            return None
        return attempt.begun_s + trip.own_s - self._now_s()

    def _gives_up(self, trip: Trip) -> bool:
        """If time and retry budget are left for one more, and somebody to ask.

        Who is to be asked is reserved: of many that are given up together each has its own.
        """
        attempt = trip.journey.attempts[-1]
        if not trip.journey.may_move_on(self._now_s(), trip.own_s):
            return False
        if not self._experience.may_repeat(trip.journey, attempt):
            return False
        another = better_bet(self._router, trip.journey, trip.decision, now_s=self._now_s())
        if another is None:
            return False
        self._experience.give_up(trip.journey, attempt)
        trip.reserved = Reserved(another, self._occupy(another))
        return True

    def _conclude(self, trip: Trip) -> None:
        if trip.reserved is not None:  # its caller left, or its time was over, just then
            self._release(*trip.reserved)
        journey = trip.journey
        journey.ended_s = self._now_s()
        self._experience.conclude(journey)
        count_journey(journey, self._counters)
        if trip.caller is not None:
            trip.caller.usage.count_journey(journey)
        if self.on_ended is not None:
            self.on_ended(trip)

    def _seal(self, trip: Trip, now_s: float) -> str:
        model = trip.journey.attempts[-1].target.model
        return self._router.seal(trip.decision, Kind.INFER, model, now_s=now_s)


def _arrive(trip: Trip, reply: Reply) -> Answer:
    journey = trip.journey
    return Answer(
        response=reply.body,
        decision=trip.decision,
        decision_id=trip.decision_id,
        target=journey.attempts[-1].target,
        attempts=len(journey.attempts),
        cost_nano_usd=journey.cost_nano_usd,
        latency_s=journey.latency_s,
        usage=reply.usage,
        counted=journey.attempts[-1].usage,
    )
