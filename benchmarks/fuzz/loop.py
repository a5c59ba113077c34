"""An event loop where waiting takes no time and each turn is measured."""

import asyncio
import contextlib
import selectors
import socket
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_Protocol = TypeVar("_Protocol", bound=asyncio.BaseProtocol)


class Idle(Exception):
    """Everybody waits, and nothing is left that could wake anybody."""


class TurnLoop(asyncio.SelectorEventLoop):
    """Its clock stands still while somebody works, and jumps to the next timer when nobody does.

    A turn is what runs between two looks at sockets: whoever else is served waits that long. It is
    measured in CPU time of the loop's thread, so that what else the machine does adds little. Work
    of threads beside the loop is waited for, and not measured.
    """

    def __init__(self) -> None:
        self._turns = _Turns()
        super().__init__(self._turns)
        self.set_exception_handler(self._note)
        self.complaints: list[str] = []  # of tasks and callbacks whose errors nobody took
        self.dialled: Callable[[Any], asyncio.Transport] = _nobody  # who is connected to

    def time(self) -> float:
        return self._turns.now_s

    @property
    def total_s(self) -> float:
        """That turns took since `begin`."""
        return self._turns.total_ns / 1e9

    @property
    def longest_s(self) -> float:
        """The longest turn since `begin`."""
        return self._turns.longest_ns / 1e9

    def begin(self) -> None:
        """Measures from here on."""
        self._turns.begin()

    def end(self) -> None:
        """The turn so far is measured, what follows is not."""
        self._turns.end_turn()
        self._turns.is_measuring = False

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        """What is done in it is somebody else's work: another process's, or the fuzzer's own."""
        began_ns = time.thread_time_ns()
        try:
            yield
        finally:
            self._turns.began_ns += time.thread_time_ns() - began_ns

    async def getaddrinfo(self, host: Any, port: Any, **_: object) -> list[Any]:
        """Addresses are numbers here: no thread looks them up."""
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port))]

    async def create_connection(
        self, protocol_factory: Callable[[], _Protocol], *_: object, **__: object
    ) -> tuple[asyncio.Transport, _Protocol]:
        protocol = protocol_factory()
        return self.dialled(protocol), protocol

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> "asyncio.Future[_T]":
        future = super().run_in_executor(executor, func, *args)
        self._turns.threads += 1
        future.add_done_callback(self._returned)
        return future

    def _returned(self, _future: object) -> None:
        self._turns.threads -= 1

    def _note(self, _loop: AbstractEventLoop, context: Mapping[str, Any]) -> None:
        self.complaints.append(f"{context['message']}: {context.get('exception')!r}")


def _nobody(_protocol: object) -> asyncio.Transport:
    raise ConnectionRefusedError


class _Turns(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.threads = 0  # that work beside the loop
        self.begin()

    def begin(self) -> None:
        self.is_measuring = True
        self.total_ns = self.longest_ns = 0
        self.began_ns = time.thread_time_ns()

    def end_turn(self) -> None:
        if not self.is_measuring:
            return
        took_ns = time.thread_time_ns() - self.began_ns
        self.total_ns += took_ns
        self.longest_ns = max(self.longest_ns, took_ns)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.end_turn()
        try:
            return self._ready(timeout)
        finally:
            self.began_ns = time.thread_time_ns()

    def _ready(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(None if timeout != 0 and self.threads else 0)
        if not ready and timeout is None:
            raise Idle
        if not ready and timeout is not None:
            self.now_s += timeout
        return ready
