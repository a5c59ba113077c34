"""A process that solves: as the solver does, and nobody waits for it in vain."""

import itertools
import os
import signal
import sys
import time
from collections.abc import Iterator
from math import inf

import numpy as np
import pytest

from optimizer.deadline import Deadline
from optimizer.solution import Failure, Solution
from server.control.corridor import solve_window
from server.control.explainer import price_window
from server.control.solver_process import SolverProcess
from server.control.window import Window
from tests.server.control.planned import window
from tests.server.control.told import CHAT, CODE

# One that reads nothing, answers nothing and ends only when it is made to.
DEAF = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def process() -> Iterator[SolverProcess]:
    process = SolverProcess(pairs_min=1)
    yield process
    process.stop()


def found() -> Window:
    return window((CODE, CHAT), demand=[10.0, 5.0], cost_nano_usd=[[1e6, 1e7], [1e6, 2e6]])


def deadline(limit_s: float = 20.0) -> Deadline:
    return Deadline(limit_s, time.monotonic)


def shares(answer: Solution | Failure) -> object:
    assert isinstance(answer, Solution)
    return answer.shares.tolist()


def test_it_answers_as_the_solver_does_again_and_again(process: SolverProcess) -> None:
    expected = solve_window(found(), deadline())
    first = process.solve(found(), deadline())
    pid = process.pid
    second = process.solve(found(), deadline())
    assert shares(first) == shares(second) == shares(expected)
    assert process.pid == pid is not None


def test_prices_are_those_of_the_optimizer(process: SolverProcess) -> None:
    assert process.prices(found()) == price_window(found())


def test_a_small_window_needs_no_process() -> None:
    process = SolverProcess()
    assert shares(process.solve(found(), deadline()))
    assert process.prices(found()) == price_window(found())
    assert process.pid is None


def test_one_that_was_killed_is_started_again(process: SolverProcess) -> None:
    process.solve(found(), deadline())
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert isinstance(process.solve(found(), deadline()), Failure)
    assert shares(process.solve(found(), deadline()))
    assert process.pid != pid


def test_who_is_in_a_hurry_does_not_wait_for_it() -> None:
    process = SolverProcess(DEAF, pairs_min=1)
    # Somebody is in a hurry once the process has been asked.
    readings = itertools.chain([0.0] * 3, itertools.repeat(inf))
    hurried = Deadline(600.0, lambda: next(readings))
    assert isinstance(process.solve(found(), hurried), Failure)
    assert process.pid is None


def test_one_that_reads_nothing_is_given_up() -> None:
    process = SolverProcess(DEAF, pairs_min=1, stall_s=0.05)
    cells = [CODE._replace(domain=f"d{n}") for n in range(20_000)]
    large = window(cells, demand=[1.0] * 20_000, cost_nano_usd=[[1e6, 1e7]] * 20_000)
    assert isinstance(process.solve(large, deadline()), Failure)
    assert process.pid is None


def test_one_that_does_not_answer_is_given_up_when_time_is_over() -> None:
    process = SolverProcess(DEAF, pairs_min=1, grace_s=0.0)
    assert isinstance(process.solve(found(), deadline(0.05)), Failure)
    assert process.pid is None


def test_one_that_cannot_be_started_is_a_failure_to_solve() -> None:
    process = SolverProcess(("/nowhere/python",), pairs_min=1)
    assert isinstance(process.solve(found(), deadline()), Failure)


def test_arrays_of_any_layout_arrive_as_they_were(process: SolverProcess) -> None:
    turned = found()
    turned.problem.accuracy[:] = np.asfortranarray(turned.problem.accuracy)
    assert shares(process.solve(turned, deadline())) == shares(solve_window(turned, deadline()))
