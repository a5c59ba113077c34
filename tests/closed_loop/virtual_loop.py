"""An event loop whose clock stands still while anything can run, then jumps to the next timer."""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any


class NothingLeftToHappen(Exception):
    """Everybody waits for somebody else: on a real clock this would hang for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Deterministic: nobody sleeps, no sockets, and what would run in a thread runs at once."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_Jumps(self._pass))

    def time(self) -> float:
        return self._now_s

    def run_in_executor(  # type: ignore[override]  # the future of the base class is generic
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - as an executor does: whoever awaits it is told
            done.set_exception(error)
        return done

    def _pass(self, timeout_s: float | None) -> None:
        if timeout_s is None:
            raise NothingLeftToHappen
        self._now_s += max(timeout_s, 0.0)


class _Jumps(selectors.SelectSelector):
    """Where a loop would wait for I/O, time passes."""

    def __init__(self, pass_time: Callable[[float | None], None]) -> None:
        super().__init__()
        self._pass_time = pass_time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._pass_time(timeout)
        return []


def run(story: Callable[[], Any]) -> Any:
    """Runs a coroutine function on a loop of its own; its clock begins at 0."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story())
