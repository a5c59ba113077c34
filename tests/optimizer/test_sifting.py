"""A large window is solved with few of its columns: what is found is what all of them give."""

import itertools
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings

from benchmarks.plan import window as large_window
from optimizer.deadline import Deadline
from optimizer.lp import solve
from optimizer.problem import Problem
from optimizer.solution import Failure, Solution
from tests.optimizer.given_up import excesses, given_up, no_worse
from tests.optimizer.windows import TIME_LIMIT_S, problems, wide_demands

# An optimum is held within 2e-7, which may be worth some more on a level below.
LOOSE = 1e-5

few = settings(max_examples=40)  # each is several solves


def planned(problem: Problem, *, sifted: bool) -> Solution:
    deadline = Deadline(TIME_LIMIT_S, time.monotonic)
    solution = solve(problem, deadline, whole_pairs_max=0 if sifted else problem.allowed.size)
    assert isinstance(solution, Solution), solution
    return solution


anything = problems(cells_max=8, models_max=5, groups_max=3, pinned=True)
wide = problems(cells_max=8, models_max=5, groups_max=3, demand=wide_demands, pinned=True)


@few
@given(anything | wide)
def test_a_sifted_plan_gives_up_no_more_than_the_whole_one(problem: Problem) -> None:
    sifted, whole = (planned(problem, sifted=sifted) for sifted in (True, False))
    assert no_worse(given_up(problem, sifted), given_up(problem, whole), LOOSE)


@few
@given(anything | wide)
def test_a_sifted_plan_is_certified_and_names_what_it_does_not_keep(problem: Problem) -> None:
    solution = planned(problem, sifted=True)
    assert solution.certificate.stopped == ""
    assert solution.certificate.duality_gap <= 1e-9
    assert solution.certificate.worst_violation <= 1e-9
    named = {(breach.kind, breach.name) for breach in solution.breaches}
    over = {key: by for key, by in excesses(problem, solution).items() if key not in named}
    assert max(over.values(), default=0.0) <= 1e-8


def unreachable_floor(problem: Problem) -> Problem:
    first, *others = problem.groups
    return replace(problem, groups=(replace(first, floor=0.999), *others))


def short_pace(problem: Problem) -> Problem:
    budgets = [replace(b, pace_nano_usd=b.pace_nano_usd / 2) for b in problem.budgets]
    return replace(problem, budgets=budgets)


def short_capacity(problem: Problem) -> Problem:
    half = [replace(r, capacity=r.capacity * 0.45) for r in problem.resources]
    return replace(problem, resources=half)


@pytest.mark.parametrize("short", [lambda p: p, unreachable_floor, short_pace, short_capacity])
def test_a_window_of_every_kind_that_is_short_is_planned_as_it_is_whole(
    short: Callable[[Problem], Problem],
) -> None:
    problem = short(large_window(cells=120, groups=6))
    sifted, whole = (planned(problem, sifted=sifted) for sifted in (True, False))
    assert sifted.certificate.relaxed == whole.certificate.relaxed
    assert sifted.certificate.stopped == ""
    assert no_worse(given_up(problem, sifted), given_up(problem, whole), LOOSE)


def after(rounds: int, problem: Problem) -> Solution | Failure:
    """The answer when time is over after so many looks at the clock, one before each solve."""
    clock = itertools.count(0.0).__next__
    return solve(problem, Deadline(rounds + 0.5, clock), whole_pairs_max=0)


@pytest.mark.parametrize("rounds", range(1, 12))
def test_after_its_first_solve_there_is_always_a_plan_that_can_be_followed(rounds: int) -> None:
    problem = short_capacity(unreachable_floor(large_window(cells=120, groups=6)))
    solution = after(rounds, problem)
    assert isinstance(solution, Solution)
    assert solution.certificate.stopped == "time"
    assert solution.certificate.worst_violation <= 1e-9
    assert (solution.shares.sum(axis=1) + solution.shed[problem.pool_of] == 1).all()
    for resource in problem.resources:
        used = (problem.demand[:, None] * resource.use * solution.shares).sum()
        assert used <= resource.capacity * (1 + 1e-9)
