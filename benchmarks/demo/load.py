"""The traffic: held-out images in open-loop Poisson streams through the client library.

A latency counts from the moment a request was due, not from when it got away: a stall of ours or
of Turnout's is not forgiven by sending less.
"""

import asyncio
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.demo.digits import PIXELS, Images, Part
from server.wire import oip_pb2 as oip
from turnout import Answer, AsyncClient, Outcome, TurnoutError

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
    image: int  # its row among the held-out


@dataclass(frozen=True, slots=True)
class Served:
    """What became of an arrival."""

    arrival: Arrival
    latency_s: float
    answer: Answer | None  # None: it failed
    right: bool
    failure: str  # empty where there is an answer
    is_shed: bool = False  # it failed because the plan refuses a part of such requests

    @property
    def cost_nano_usd(self) -> int:
        return self.answer.cost_nano_usd if self.answer else 0


def arrivals(stream: Stream, images: int) -> Iterator[Arrival]:
    """Endless and the same for the same seed; each image once before any comes again."""
    random = np.random.default_rng(stream.seed)
    due_s = stream.from_s
    while True:
        for image in random.permutation(images):
            due_s += random.exponential(1 / stream.rate_per_s)
            yield Arrival(due_s, stream.traffic_class, int(image))


def schedule(streams: Iterable[Stream], images: int) -> Iterator[Arrival]:
    """All streams in the order of time."""
    return heapq.merge(*(arrivals(stream, images) for stream in streams), key=_due_s)


def _due_s(arrival: Arrival) -> float:
    return arrival.due_s


def request_of(image: Images) -> bytes:
    """An image as any OIP client would send it; the model's name is Turnout's to set."""
    request = oip.ModelInferRequest()
    tensor = request.inputs.add(name="pixels", datatype="FP32", shape=[1, PIXELS])
    tensor.contents.fp32_contents.extend(image.tolist())
    return request.SerializeToString()


class Load:
    """Sends a schedule, grades the answers by the true labels and reports those asked for."""

    def __init__(self, client: AsyncClient, part: Part, streams: Iterable[Stream]) -> None:
        self.served: list[Served] = []
        self.answering = asyncio.Event()  # set by the first answer
        self._client = client
        self._labels = part.labels
        self._requests = [request_of(image) for image in part.images]
        self._schedule = schedule(streams, len(part))
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
        self._tasks.create_task(self._send(arrivals(stream, len(self._labels))))

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
        try:
            answer = await self._client.infer(
                self._requests[arrival.image], labels={"app": arrival.traffic_class}
            )
        except TurnoutError as error:
            is_shed = error.reason == SHED
            failure = error.message if is_shed else str(error)
            self._close(arrival, failure=failure, is_shed=is_shed)
            return
        digit = answer.parse(oip.ModelInferResponse).outputs[0].contents.int64_contents[0]
        right = digit == self._labels[arrival.image]
        if answer.report_wanted:
            self._grades.append(Outcome(decision_id=answer.decision_id, quality=float(right)))
        self._close(arrival, answer=answer, right=bool(right))
        self.answering.set()

    def _close(
        self,
        arrival: Arrival,
        *,
        answer: Answer | None = None,
        right: bool = False,
        failure: str = "",
        is_shed: bool = False,
    ) -> None:
        del self._open[arrival]
        latency_s = self.now_s() - arrival.due_s
        self.served.append(Served(arrival, latency_s, answer, right, failure, is_shed))

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
