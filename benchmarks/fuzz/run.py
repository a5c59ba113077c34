"""Runs inputs of one target, each measured; the world around them is made anew at times."""

import gc
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import Any, Self

import structlog.testing

from benchmarks.fuzz.apart import Begin
from benchmarks.fuzz.loop import TurnLoop
from benchmarks.fuzz.meter import Cost, Meter
from benchmarks.fuzz.targets import Feed, Target

# What an input leaves in tables and caches is there for the next; so many see the same ones.
INPUTS_A_WORLD = 2_000


def _nobody_asks(_data: bytes) -> None:
    """Which input runs."""


class Runner:
    """Use it as a context: it closes what it opens."""

    def __init__(self, target: Target, begin: Begin = _nobody_asks) -> None:
        """`begin` is told of each input."""
        self._target = target
        self._begin = begin
        self._loop = TurnLoop()
        self._threads = ThreadPoolExecutor()
        self._loop.set_default_executor(self._threads)
        self._meter = Meter(self._loop)
        self._world: AbstractAsyncContextManager[Feed] | None = None
        self._feed: Feed | None = None
        self._left = 0
        self.inputs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_world()
        self._meter.close()
        self._threads.shutdown()
        self._loop.close()
        gc.unfreeze()

    def run(self, data: bytes) -> Cost:
        """Of one input, once."""
        feed = self._opened()
        self._begin(data)
        self.inputs += 1
        self._left -= 1
        self._loop.complaints.clear()
        with structlog.testing.capture_logs() as logs:
            cost = self._run(feed, data)
        fault = cost.fault or _logged(logs) or "; ".join(self._loop.complaints)
        if fault:
            self._left = 0
        return cost._replace(fault=fault)

    def confirmed(self, data: bytes, cost: Cost) -> Cost:
        """The least of three: what else the machine does is no fault of the input."""
        for _ in range(2):
            cost = cost.least(self.run(data))
        return cost

    def _run(self, feed: Feed, data: bytes) -> Cost:
        self._meter.begin(len(data))
        try:
            outcome = self._loop.run_until_complete(feed(data, self._meter))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            self._loop.end()
            return self._meter.cost("fault", f"{type(error).__name__}: {error}"[:200])
        return self._meter.cost(outcome)

    def _opened(self) -> Feed:
        if self._feed is None or self._left <= 0:
            self._close_world()
            self._world = self._target.open(self._loop)
            self._feed = self._loop.run_until_complete(self._world.__aenter__())
            self._left = INPUTS_A_WORLD
            gc.collect()
            gc.freeze()  # as a worker does
        return self._feed

    def _close_world(self) -> None:
        if self._world is not None:
            gc.unfreeze()
            self._loop.run_until_complete(self._world.__aexit__(None, None, None))
            self._world = self._feed = None


def _logged(logs: Sequence[Mapping[str, Any]]) -> str:
    """The first unexpected error that the code under test has told of."""
    for entry in logs:
        if error := entry.get("exc_info"):
            return f"logged {entry['event']!r}: {type(error).__name__}: {error}"[:200]
    return ""
