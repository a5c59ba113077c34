"""Large windows are solved by a process of their own.

A solver runs beside the loop in a thread too, but to hand it 200,000 numbers holds the interpreter
for a tenth of a second.
"""

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import structlog

from optimizer.deadline import Deadline
from optimizer.solution import Failure, Solution
from optimizer.step_prices import StepPrice
from server.control.corridor import solve_window
from server.control.explainer import EXPLAIN_S_MAX, SOLVE_S_MAX, price_window
from server.control.solver_child import receive, send
from server.control.window import Window

_COMMAND = (sys.executable, "-m", "server.control.solver_child")
# Cells times models: to hand over fewer takes a few milliseconds, so they stay in this process.
PAIRS_MIN = 10_000
# How often it is looked whether somebody still waits for an answer.
_LOOK_S = 0.02
# The process keeps the limit itself, but for its start and what a solver takes to notice.
GRACE_S = 10.0
# A process that reads or sends nothing for so long, in the middle of a message, is stuck.
STALL_S = 5.0

_log = structlog.get_logger()


class SolverProcess:
    """Starts its process when it is first needed, and again when it ended; for a call at a time."""

    def __init__(
        self,
        command: Sequence[str] = _COMMAND,
        *,
        pairs_min: int = PAIRS_MIN,
        grace_s: float = GRACE_S,
        stall_s: float = STALL_S,
    ) -> None:
        self._command = command
        self._pairs_min = pairs_min
        self._grace_s = grace_s
        self._stall_s = stall_s
        self._is_stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    def solve(self, window: Window, deadline: Deadline) -> Solution | Failure:
        """As `solve_window`; who is in a hurry is told of a failure at once."""
        if self._is_small(window):
            return solve_window(window, deadline)
        answer = self._call(deadline, "solve", window.problem, deadline.left_s())
        if isinstance(answer, Solution | Failure):
            return answer
        return Failure("limit", "the process that solves was given up")

    def prices(self, window: Window) -> Sequence[StepPrice]:
        """As `price_window`; no prices where the process did not answer."""
        if self._is_small(window):
            return price_window(window)
        deadline = Deadline(EXPLAIN_S_MAX, time.monotonic)
        arguments = window.typical, EXPLAIN_S_MAX, window.window_s, SOLVE_S_MAX
        prices = self._call(deadline, "prices", *arguments)
        return prices if isinstance(prices, tuple) else ()

    def stop(self) -> None:
        """Ends the process for good; a call that waits for it is answered as one that failed."""
        self._is_stopped = True
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _is_small(self, window: Window) -> bool:
        return window.problem.cost_nano_usd.size < self._pairs_min

    def _call(self, deadline: Deadline, *message: object) -> Any:
        """The answer; None if there is none, and then the process has been ended."""
        end_s = time.monotonic() + deadline.left_s()
        try:
            connection = self._connected()
            send(connection, message)
            if self._is_answered(connection, deadline, end_s):
                return receive(connection)
        except (OSError, EOFError) as error:
            if self._is_stopped:
                return None
            _log.error("the process that solves ended", error=f"{type(error).__name__}: {error}")
        self._disconnect()
        return None

    def _is_answered(self, connection: Connection, deadline: Deadline, end_s: float) -> bool:
        """Whether an answer has come before time is over; who is in a hurry has no time left."""
        while not connection.poll(_LOOK_S):
            now_s = time.monotonic()
            hurried = now_s < end_s and not deadline.left_s()
            if hurried or now_s > end_s + self._grace_s:
                return False
        return True

    def _connected(self) -> Connection:
        if self._connection is None:
            ours, theirs = socket.socketpair()
            for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                ours.setsockopt(socket.SOL_SOCKET, option, _timeval(self._stall_s))
            self._connection = Connection(ours.detach())
            with theirs:
                self._process = _started(self._command, theirs)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._end()


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))


def _started(command: Sequence[str], theirs: socket.socket) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdin=theirs.fileno(),
        stdout=subprocess.DEVNULL,
        # numpy's threads would have nothing to do.
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
