"""The process that solves large windows: one call after another, until its parent is gone."""

import pickle
import signal
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from optimizer.deadline import Deadline
from optimizer.lp import solve
from optimizer.problem import Problem
from optimizer.solution import Failure, Solution
from optimizer.step_prices import StepPrice, step_prices


def send(connection: Connection, message: object) -> None:
    """Arrays go as they lie: to make one text of them all would hold the interpreter for long."""
    arrays: list[pickle.PickleBuffer] = []
    head = pickle.dumps(message, protocol=5, buffer_callback=arrays.append)
    connection.send_bytes(len(arrays).to_bytes(4, "big") + head)
    for array in arrays:
        connection.send_bytes(array.raw())


def receive(connection: Connection) -> Any:
    """What `send` sent, from a process of ours; raises EOFError or OSError when that is gone."""
    head = connection.recv_bytes()
    arrays = [bytearray(connection.recv_bytes()) for _ in range(int.from_bytes(head[:4], "big"))]
    return pickle.loads(head[4:], buffers=arrays)  # noqa: S301 - of our own process


def _solve(problem: Problem, left_s: float) -> Solution | Failure:
    return solve(problem, Deadline(left_s, time.monotonic))


def _prices(
    problem: Problem, left_s: float, window_s: float, solve_s_max: float
) -> tuple[StepPrice, ...]:
    deadline = Deadline(left_s, time.monotonic)
    return step_prices(problem, deadline, window_s=window_s, solve_s_max=solve_s_max)


_CALLS: Mapping[str, Callable[..., object]] = {"solve": _solve, "prices": _prices}


def main() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as workers: it asks the service to reload
    connection = Connection(sys.stdin.fileno())
    try:
        while True:
            name, *arguments = receive(connection)
            send(connection, _CALLS[name](*arguments))
    except (EOFError, OSError):
        return


if __name__ == "__main__":
    main()
