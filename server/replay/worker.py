"""A worker without its wires: decides, asks the recording, counts. Nothing here waits.

It goes the way of an Infer (`server/dispatch/dispatcher.py`), one step for each attempt that ends,
and gives up no attempt before its deadline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from server.control.cell_messages import cell_stats
from server.control.client import Assembly
from server.routing.counters import Counters
from server.routing.decision import Decision
from server.routing.decision_id import KEY_BYTES, Kind, Sealer
from server.routing.endpoints import Target
from server.routing.errors import RoutingError
from server.routing.experience import Experience
from server.routing.journey import ANSWERED, FAILED, Attempt, Journey, count_journey
from server.routing.query import Query
from server.routing.router import Router
from server.routing.selector import Selector
from server.status_code import Code
from server.token_usage import TokenUsage
from turnout.v1.control_pb2 import (
    EndpointStats,
    PushStatsRequest,
    RefusalStats,
    WatchPlanResponse,
)

KEY = bytes(KEY_BYTES)  # nobody else sees these decision ids


class Answer(NamedTuple):
    """What a model makes of a request."""

    input_tokens: int
    output_tokens: int
    latency_s: float
    code: Code = Code.OK


# Of a query, by its number, at the model in this place of the configuration.
AnswerOf = Callable[[int, int], Answer]


@dataclass(slots=True)
class Trip:
    """One request on its way."""

    number: int  # of its query
    decision: Decision
    journey: Journey
    answer: Answer
    ends_s: float  # the attempt that is out

    @property
    def is_answered(self) -> bool:
        return self.journey.fate is ANSWERED

    @property
    def target(self) -> Target:
        """Of the last attempt."""
        return self.journey.attempts[-1].target


class Worker:
    """One worker, alone."""

    def __init__(self, answer_of: AnswerOf, *, epoch: int, chance: Callable[[], float]) -> None:
        """`chance` is uniform in [0, 1)."""
        self._counters = Counters()
        self.router = Router(Selector(), Sealer(KEY, boot=epoch), self._counters, chance=chance)
        self._experience = Experience(self.router.health)
        self._answer_of = answer_of
        self._epoch = epoch
        self._chance = chance
        self._pushes = 0

    def set_out(self, number: int, query: Query, now_s: float) -> Trip:
        """Decides, and asks a model; raises RoutingError where the request is refused."""
        try:
            decision = self.router.decide(query, now_s=now_s, chance=self._chance(), forwarded=True)
        except RoutingError as error:
            self._counters.count_refusal(error.reason)
            raise
        of_class, target = decision.grounds.traffic_class, decision.target
        journey = Journey(
            decision.reading.cell,
            target.model.name,
            begun_s=now_s,
            slo_s=of_class.slo_s,
            deadline_s=now_s + of_class.deadline_s,
            class_deadline_s=of_class.deadline_s,
        )
        trip = Trip(number, decision, journey, _NO_ANSWER, now_s)
        self._ask(trip, target, now_s)
        return trip

    def end_attempt(self, trip: Trip) -> bool:
        """Ends the attempt that is out, at its time; false where another is out after it."""
        journey, now_s = trip.journey, trip.ends_s
        attempt = journey.attempts[-1]
        self._end(trip, attempt, now_s)
        if attempt.fate is not ANSWERED and journey.goes_on(now_s):
            target = self._next_target(trip)
            if target is not None and self._experience.may_go_on(journey, attempt, target):
                self._ask(trip, target, now_s)
                return False
        journey.ended_s = now_s
        self._experience.conclude(journey)
        count_journey(journey, self._counters)
        return True

    def decision_id(self, trip: Trip) -> str:
        """What its caller grades it by."""
        model = trip.target.model
        return self.router.seal(trip.decision, Kind.INFER, model, now_s=trip.ends_s)

    def follow(self, parts: tuple[WatchPlanResponse, ...]) -> None:
        """Puts a plan in force."""
        index = {model.name: place for place, model in enumerate(self.router.models())}
        assembly = Assembly()
        for part in parts:
            assembly.add(part, index)
        table = assembly.snapshot(parts[-1]).table
        if table is not None:
            self.router.publish(table)

    def push(self, now_s: float) -> PushStatsRequest:
        """All that was counted since the last push."""
        self._pushes += 1
        counters = self._counters
        # In an order that is the same in each process, for the plan follows it among equals.
        legs = sorted(counters.take_touched())
        return PushStatsRequest(
            worker="replay",
            boot="1",
            sequence=self._pushes,
            began_epoch=self._epoch,
            epoch=self._epoch,
            cells=[cell_stats(leg, counters.get(leg)) for leg in legs],
            endpoints=[self._endpoint(index, now_s) for index in range(len(self.router.models()))],
            refusals=[RefusalStats(reason=r, count=n) for r, n in counters.refusals()],
            plan_id=self.router.table.plan_id,
        )

    def _ask(self, trip: Trip, target: Target, now_s: float) -> None:
        load = self.router.endpoints.loads[target.key]
        load.in_flight += 1
        load.attempts += 1
        self.router.slices.take(target.model_index)
        trip.journey.begin(target, now_s)
        trip.answer = answer = self._answer_of(trip.number, target.model_index)
        trip.ends_s = now_s + min(answer.latency_s, trip.journey.time_left_s(now_s))

    def _end(self, trip: Trip, attempt: Attempt, now_s: float) -> None:
        target, answer = attempt.target, trip.answer
        self.router.endpoints.loads[target.key].in_flight -= 1
        self.router.slices.give_back(target.model_index)
        if answer.code is not Code.OK:
            attempt.end_without_answer(FAILED, now_s, answer.code)
        elif answer.latency_s > now_s - attempt.begun_s:
            attempt.end_without_answer(FAILED, now_s, Code.DEADLINE_EXCEEDED)
        else:
            usage = TokenUsage(input=answer.input_tokens, output=answer.output_tokens)
            attempt.end_with_answer(now_s, usage)
        self._experience.observe(trip.journey, attempt)

    def _next_target(self, trip: Trip) -> Target | None:
        asked = [attempt.target for attempt in trip.journey.attempts]
        grounds = trip.decision.grounds
        return self.router.next_target(asked, grounds.fallbacks, grounds.cell.kind)

    def _endpoint(self, index: int, now_s: float) -> EndpointStats:
        model, health = self.router.models()[index], self.router.health
        key = index, model.endpoints[0]
        load = self.router.endpoints.loads[key]
        return EndpointStats(
            model=model.name,
            address=key[1],
            ejected=health.is_ejected(key),
            in_flight=load.in_flight,
            attempts=load.attempts,
            ejected_s=health.ejection_left_s(key, now_s=now_s),
        )


_NO_ANSWER = Answer(0, 0, 0.0)
