"""The traffic: requests with known answers, in open-loop Poisson streams.

A latency counts from the moment a request was due, not from when it got away: a stall of ours or
of Turnout's is not forgiven by sending less.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from turnout import AsyncClient, Outcome, TurnoutError

SHED = "SHED"  # the reason of such a refusal
_REPORT_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Stream:
    """The traffic of one class."""

    traffic_class: str
    rate_per_s: float
    seed: int
    from_s: float = 0.0  # since the schedule's start


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request of the schedule."""

    due_s: float  # since the schedule's start
    traffic_class: str
    item: int  # its row among those whose answers are known


class Answered(Protocol):
    """What is counted of an answer: the client library gives it, or the headers of a door."""

    @property
    def model(self) -> str: ...
    @property
    def cost_nano_usd(self) -> int: ...


class Reply(NamedTuple):
    """What came of a request."""

    answer: Answered | None = None  # None: it failed
    right: bool = False
    failure: str = ""  # empty where there is an answer
    is_shed: bool = False  # it failed because the plan refuses a part of such requests
    grade: Outcome | None = None  # to be reported


Ask = Callable[[Arrival], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Served:
    """What became of an arrival."""

    arrival: Arrival
    latency_s: float
    answer: Answered | None  # None: it failed
    right: bool
    failure: str  # empty where there is an answer
    is_shed: bool = False  # it failed because the plan refuses a part of such requests

    @property
    def cost_nano_usd(self) -> int:
        return self.answer.cost_nano_usd if self.answer else 0


def arrivals(stream: Stream, items: int) -> Iterator[Arrival]:
    """Endless and the same for the same seed; each item once before any comes again."""
    random = np.random.default_rng(stream.seed)
    due_s = stream.from_s
    while True:
        for item in random.permutation(items):
            due_s += random.exponential(1 / stream.rate_per_s)
            yield Arrival(due_s, stream.traffic_class, int(item))


def schedule(streams: Iterable[Stream], items: int) -> Iterator[Arrival]:
    """All streams in the order of time."""
    return heapq.merge(*(arrivals(stream, items) for stream in streams), key=_due_s)


def _due_s(arrival: Arrival) -> float:
    return arrival.due_s


class Load:
    """Sends a schedule, and reports the grades of the answers."""

    def __init__(
        self, ask: Ask, client: AsyncClient, streams: Iterable[Stream], *, items: int
    ) -> None:
        self.served: list[Served] = []
        self.answering = asyncio.Event()  # set by the first answer
        self._ask_for = ask
        self._client = client
        self._items = items
        self._schedule = schedule(streams, items)
        self._tasks = asyncio.TaskGroup()
        self._open: dict[Arrival, asyncio.Task[None]] = {}
        self._grades: list[Outcome] = []
        self._refused: list[str] = []
        self._started_s = 0.0
        self._stopped = False

    def now_s(self) -> float:
        """Since the schedule's start."""
        return asyncio.get_running_loop().time() - self._started_s

    async def run(self) -> None:
        """Sends until `stop`, then waits for every answer."""
        self._started_s = asyncio.get_running_loop().time()
        async with self._tasks:
            self._tasks.create_task(self._report_until_stopped())
            await self._send(self._schedule)
        await self._report()

    def add(self, stream: Stream) -> None:
        """Sends this one too."""
        self._tasks.create_task(self._send(arrivals(stream, self._items)))

    def stop(self) -> None:
        self._stopped = True

    async def between(self, from_s: float, to_s: float) -> list[Served]:
        """What was due from one moment to another; waits for the last answer to it."""
        await asyncio.sleep(to_s - self.now_s())
        await asyncio.gather(*(task for due, task in self._open.items() if due.due_s < to_s))
        return [one for one in self.served if from_s <= one.arrival.due_s < to_s]

    def take_refused(self) -> list[str]:
        """Why reports were not counted, each told once."""
        refused, self._refused = self._refused, []
        return refused

    async def _send(self, due: Iterator[Arrival]) -> None:
        for arrival in due:
            await asyncio.sleep(arrival.due_s - self.now_s())
            if self._stopped:
                return
            self._open[arrival] = self._tasks.create_task(self._ask(arrival))

    async def _ask(self, arrival: Arrival) -> None:
        reply = await self._ask_for(arrival)
        if reply.grade is not None:
            self._grades.append(reply.grade)
        del self._open[arrival]
        latency_s = self.now_s() - arrival.due_s
        counted = (reply.answer, reply.right, reply.failure, reply.is_shed)
        self.served.append(Served(arrival, latency_s, *counted))
        if reply.answer is not None:
            self.answering.set()

    async def _report_until_stopped(self) -> None:
        while not self._stopped:
            await asyncio.sleep(_REPORT_EVERY_S)
            await self._report()

    async def _report(self) -> None:
        grades, self._grades = self._grades, []
        if not grades:
            return
        try:
            results = await self._client.report_many(grades)
        except TurnoutError as error:
            self._refused.append(str(error))
            return
        self._refused += [result.message for result in results if not result.counted]
