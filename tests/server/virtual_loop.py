"""A loop on a clock of its own: where it would wait for a timer, the clock jumps there."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Jumping(selectors.SelectSelector):
    """Waits for nothing but what has come already."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and no timer is set: nothing will ever happen")
        events = super().select(0)
        if not events:
            self.now_s += max(timeout, 0.0)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Hours pass in milliseconds, and the same way each time. Not for sockets."""

    def __init__(self, begin_s: float = 1_024.0) -> None:
        self._clock = _Jumping()
        self._clock.now_s = begin_s
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now_s


def run(scene: Coroutine[Any, Any, Result]) -> Result:
    """What comes of it, on such a loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scene)
