"""Attempts that are out: those that take long are looked at, and ended where another may do better.

Most are back before anybody looks, and a timer for each would cost more than all else of it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from server.dispatch.answers import StreamedAnswer
from server.dispatch.exchange import Asked, Metadata
from server.dispatch.relay import Relay
from server.routing.callers import Caller
from server.routing.decision import Decision
from server.routing.endpoints import EndpointLoad, Target
from server.routing.journey import Journey
from server.routing.timing_wheel import TimingWheel

# All that are out share this timer. Nothing is looked at until it has been out for as long, and no
# own time is shorter than twice as long.
LOOK_EVERY_S = 0.02
# So many are ended in a turn of the loop, which takes some milliseconds: each asks somebody else in
# the next.
ENDED_AT_ONCE = 50


class Reserved(NamedTuple):
    """Whom to ask next, with a place there."""

    target: Target
    load: EndpointLoad  # its endpoint's, which may leave the catalog


@dataclass(slots=True, eq=False)
class Trip:
    """One Infer on its way: the journey, and what has to be carried along."""

    decision: Decision
    asked: Asked
    metadata: Metadata
    journey: Journey
    task: asyncio.Task[Any]  # that carries it out
    tenant: str = ""
    caller: Caller | None = None  # None: nobody has a name here
    decision_id: str = ""  # once a model answers
    own_s: float = 0.0  # what the attempt that is out has of its own, once it was looked at
    among: dict["Trip", None] | None = None  # it is out, and was not looked at
    slot: int | None = None  # of the wheel
    is_given_up: bool = False  # the attempt is, but its task does not know yet
    reserved: Reserved | None = None  # for the attempt after that
    relay: Relay | None = None  # its answer comes in pieces
    answer: StreamedAnswer | None = None  # once it does


class Overtime:
    """Of one dispatcher; a trip has one attempt out at a time."""

    def __init__(
        self, wait_s: Callable[[Trip], float | None], gives_up: Callable[[Trip], bool]
    ) -> None:
        """`wait_s` says how long the attempt that is out may go on before `gives_up` is asked.

        None: as long as it likes.
        """
        self._wait_s = wait_s
        self._gives_up = gives_up
        self._recent: dict[Trip, None] = {}  # sent since the last look
        self._older: dict[Trip, None] = {}  # and before it
        self._waiting: TimingWheel[Trip] = TimingWheel()
        self._is_looking = False

    def sent(self, trip: Trip) -> None:
        """An attempt is out."""
        trip.is_given_up, trip.among = False, self._recent
        self._recent[trip] = None
        if not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def back(self, trip: Trip) -> None:
        """It is over."""
        if trip.among is not None:
            del trip.among[trip]
            trip.among = None
        elif trip.slot is not None:
            self._waiting.discard(trip, trip.slot)
            trip.slot = None

    def was_given_up(self, trip: Trip) -> bool:
        """Whether the trip's task was cancelled for that alone; then it goes on."""
        return trip.is_given_up and not trip.task.uncancel()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        self._end_due()
        older, self._older, self._recent = self._older, self._recent, {}
        for trip in older:
            trip.among = None
            if (wait_s := self._wait_s(trip)) is not None:
                trip.slot = self._waiting.add(trip, now_s + wait_s)
        self._is_looking = bool(self._older or self._waiting.count)
        if self._is_looking:
            loop.call_later(LOOK_EVERY_S, self._look)

    def _end_due(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        due = self._waiting.take_due(now_s, ENDED_AT_ONCE)
        for trip in due:
            self._end_or_wait(trip, now_s)
        if len(due) == ENDED_AT_ONCE:
            loop.call_soon(self._end_due)

    def _end_or_wait(self, trip: Trip, now_s: float) -> None:
        if self._gives_up(trip):
            trip.slot, trip.is_given_up = None, True
            trip.task.cancel()
        else:
            trip.slot = self._waiting.add(trip, now_s + trip.own_s)
