"""A load generator process for OpenAI's HTTP, cheap enough to measure others.

Requests come one by one, an open loop: each is sent when it is due, on a connection that is free or
a new one, however slow the last ones are. `python -m benchmarks.chat_load` takes an Order a line
and prints a Toll for each.
"""

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import cast

import psutil
import uvloop
from pydantic import BaseModel

from benchmarks.cpu_time import cpu_s
from benchmarks.load import Toll, arrivals_s, paced, percentile

# What is not over by then is lost, and ends the run.
_TIMEOUT_S = 60.0
_PATIENCE_S = 0.001
_BLANK = b"\r\n\r\n"
_LENGTH = re.compile(rb"\ncontent-length:[ ]*([0-9]+)", re.IGNORECASE)
_OK = re.compile(rb"HTTP/1\.[01] 200 ")
_DATA, _LAST_CHUNK = b"data: ", b"0\r\n\r\n"
# One after the other, before anything is counted.
_FIRST = 8


class Order(BaseModel, frozen=True):
    """What to ask and how often, and whose CPU time and memory to count meanwhile."""

    address: str
    body: str
    events: int  # of each answer, at least; 0: it comes whole
    warm_up: int  # answers that are not counted: until as many are open as shall be
    answers: int
    rate_per_s: float
    seed: int
    pids: tuple[int, ...]

    def cpu_s(self) -> float:
        """What those that are counted have used so far."""
        return sum(map(cpu_s, self.pids))

    def unique_bytes(self) -> int:
        """The memory that they have to themselves."""
        return sum(psutil.Process(pid).memory_full_info().uss for pid in self.pids)


class ChatToll(Toll, frozen=True):
    """CPU time is for each event, or each answer that comes whole; latencies are those of the
    first event, or of the whole answer.
    """

    held_bytes: float  # what each that was open at the end added to memory


class AnswerLost(Exception):
    """An answer was no answer, or not all of it."""


class Caller(asyncio.Protocol):
    """One connection, on which one answer is awaited at a time."""

    def __init__(self, calls: "Calls") -> None:
        self._calls = calls
        self._is_asked = False
        self._begin(0.0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._is_asked:
            self._calls.fail(f"the connection ended after {self._events} events")
        elif self in self._calls.free:
            self._calls.free.remove(self)

    def send(self, due_s: float) -> None:
        self._begin(due_s)
        self._is_asked = True
        self.transport.write(self._calls.request)

    def _begin(self, due_s: float) -> None:
        self._due_s, self._head, self._left, self._tail, self._events = due_s, b"", -1, b"", 0

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            head, blank, data = self._head.partition(_BLANK)
            if not blank:
                return
            if not _OK.match(head):
                self._calls.fail(f"{head[:400]!r} {data[:400]!r}")
            length = _LENGTH.search(head)
            self._left = int(length[1]) if length else 0
            self._is_chunked = length is None
        if self._is_chunked:
            self._take_chunks(data)
        else:
            self._left -= len(data)
            if self._left <= 0:
                self._hear_first()
                self._end()

    def _take_chunks(self, data: bytes) -> None:
        joined = self._tail + data
        before = self._events
        self._events += joined.count(_DATA) - self._tail.count(_DATA)
        if self._events and not before:
            self._hear_first()
        self._tail = joined[-len(_DATA) + 1 :]
        if joined.endswith(_LAST_CHUNK):
            self._end()

    def _hear_first(self) -> None:
        self._calls.firsts_s.append(time.perf_counter() - self._due_s)

    def _end(self) -> None:
        if self._events < self._calls.events_min:
            self._calls.fail(f"of its answer only {self._events} events came")
        self._is_asked = False
        self._calls.ended += 1
        self._calls.free.append(self)


class Calls:
    """All that are made for one order."""

    def __init__(self, order: Order) -> None:
        self._host, _, self._port = order.address.rpartition(":")
        body = order.body.encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {order.address}\r\n"
            "authorization: Bearer sk-unused\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self.request = head.encode() + body
        self.events_min = order.events
        self.free: list[Caller] = []
        self.firsts_s: list[float] = []
        self.begun = self.ended = 0
        self._failure = ""
        self._all: list[Caller] = []
        self._connecting: set[asyncio.Task[None]] = set()

    def fail(self, why: str) -> None:
        self._failure = self._failure or why

    def begin(self, due_s: float) -> None:
        self.begun += 1
        if self.free:
            self.free.pop().send(due_s)
        else:
            task = asyncio.create_task(self._connect(due_s))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, due_s: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, caller = await loop.create_connection(
                lambda: Caller(self), self._host, int(self._port)
            )
        except OSError as error:
            self.fail(f"cannot connect: {error}")
            return
        self._all.append(caller)
        caller.send(due_s)

    async def heard(self) -> None:
        """Returns once each answer has begun; raises AnswerLost and TimeoutError."""
        await self._wait(lambda: len(self.firsts_s) >= self.begun)

    async def over(self) -> None:
        """Returns once each answer has ended; raises AnswerLost and TimeoutError."""
        await self._wait(lambda: self.ended >= self.begun)

    async def _wait(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(_TIMEOUT_S):
            while not holds():
                if self._failure:
                    raise AnswerLost(self._failure)
                await asyncio.sleep(_PATIENCE_S)
        if self._failure:
            raise AnswerLost(self._failure)

    def close(self) -> None:
        for caller in self._all:
            caller.transport.close()


async def toll(order: Order) -> ChatToll:
    """Makes the calls of an order."""
    calls = Calls(order)
    for _ in range(_FIRST):
        calls.begin(time.perf_counter())
        await calls.over()
    calls.firsts_s.clear()
    calls.begun = calls.ended = 0
    held_bytes = order.unique_bytes()
    begun_s, server_s, generator_s = time.perf_counter(), order.cpu_s(), cpu_s(os.getpid())
    total = order.warm_up + order.answers
    late_us = await paced(calls.begin, arrivals_s(total, order.rate_per_s, order.seed))
    await calls.heard()
    is_open = max(calls.begun - calls.ended, 1)
    held_bytes = order.unique_bytes() - held_bytes
    await calls.over()
    server_s, generator_s = order.cpu_s() - server_s, cpu_s(os.getpid()) - generator_s
    took_s = time.perf_counter() - begun_s
    calls.close()
    counted_s: Sequence[float] = calls.firsts_s[order.warm_up :]
    return ChatToll(
        cpu_us=server_s / (total * (order.events or 1)) * 1e6,
        p50_us=percentile(counted_s, 0.5) * 1e6,
        p99_us=percentile(counted_s, 0.99) * 1e6,
        p999_us=percentile(counted_s, 0.999) * 1e6,
        late_p99_us=percentile(late_us, 0.99),
        generator_load=generator_s / took_s,
        held_bytes=held_bytes / is_open,
    )


def main() -> None:
    for line in sys.stdin:
        print(uvloop.run(toll(Order.model_validate_json(line))).model_dump_json(), flush=True)


if __name__ == "__main__":
    main()
