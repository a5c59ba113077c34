"""What a plan is worth when time is over before the least is certain."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from optimizer.deadline import Deadline
from optimizer.lp import solve
from optimizer.problem import Group, Problem
from optimizer.solution import Failure, Solution
from optimizer.step_prices import step_prices
from tests.optimizer.given_up import excesses, given_up, no_worse
from tests.optimizer.windows import capacity_of, plan, problems, window

TURN_S = 1_000.0  # what each solve takes on the clock of these tests


def ticking() -> Callable[[], float]:
    """A clock that moves on by a turn whenever it is read: once before each solve."""
    return itertools.count(0.0, TURN_S).__next__


def after(solves: int, problem: Problem) -> Solution | Failure:
    """The answer when time is over after so many solves."""
    return solve(problem, Deadline((solves + 0.5) * TURN_S, ticking()))


def many_unreachable_floors() -> Problem:
    """Six classes of three priorities compete for the only models that come near their floors."""
    random, cells, groups = np.random.default_rng(3), 24, 6
    problem = window(
        random.uniform(1, 100, (cells, 4)).tolist(),
        random.uniform(0.5, 0.95, (cells, 4)).tolist(),
        *(Group(f"c{g}", "-", g % 3, floor=0.99, miss_max=0.1) for g in range(groups)),
        demand=random.uniform(1, 9, cells).tolist(),
        group_of=[cell % groups for cell in range(cells)],
        miss=random.uniform(0, 0.2, (cells, 4)).tolist(),
    )
    return replace(problem, resources=[capacity_of(problem, m, 30) for m in range(4)])


def solves_needed(problem: Problem) -> int:
    return next(n for n in itertools.count(1) if not stopped(after(n, problem)))


def stopped(answer: Solution | Failure) -> bool:
    return isinstance(answer, Failure) or answer.certificate.stopped != ""


def test_one_limit_holds_for_all_solves_together() -> None:
    problem = many_unreachable_floors()
    assert solves_needed(problem) > 5
    assert after(100, problem).certificate.stopped == ""  # type: ignore[union-attr]  # enough


def test_before_any_plan_is_found_the_answer_is_a_failure() -> None:
    failure = after(1, many_unreachable_floors())
    assert isinstance(failure, Failure)
    assert failure.status == "limit"


def test_a_plan_that_was_stopped_says_so_and_names_what_it_gives_up() -> None:
    solution = after(2, many_unreachable_floors())
    assert isinstance(solution, Solution)
    assert solution.certificate.stopped == "time"
    assert solution.certificate.relaxed != "none"
    assert {breach.kind for breach in solution.breaches} >= {"floor"}


def test_a_plan_that_was_stopped_gives_the_highest_priority_what_it_would_have_had() -> None:
    problem = many_unreachable_floors()
    early, full = after(2, problem), plan(problem)
    assert isinstance(early, Solution)
    levels = slice(0, 3)  # shed, SLOs and floors of the highest priority
    least = given_up(problem, full)[levels]
    assert given_up(problem, early)[levels] == pytest.approx(least, abs=1e-3)


@settings(max_examples=30)
@given(problems(cells_max=6, models_max=4, groups_max=3, pinned=True))
def test_whenever_time_is_over_the_plan_is_one_that_can_be_followed(problem: Problem) -> None:
    full = plan(problem)
    for solves in range(solves_needed(problem) + 1):
        answer = after(solves, problem)
        if isinstance(answer, Failure):
            assert answer.status == "limit"
            continue
        check_feasible(problem, answer)
        assert no_worse(given_up(problem, full), given_up(problem, answer))


def check_feasible(problem: Problem, solution: Solution) -> None:
    assert (solution.shares >= 0).all()
    assert not solution.shares[~problem.allowed].any()
    assert (solution.shares.sum(axis=1) + solution.shed[problem.pool_of] == 1).all()
    for resource in problem.resources:
        use = problem.demand[:, None] * resource.use
        assert (use * solution.shares).sum() <= resource.capacity * (1 + 1e-9) + 1e-13 * use.max()
    named = {(breach.kind, breach.name) for breach in solution.breaches}
    over = {key: by for key, by in excesses(problem, solution).items() if key not in named}
    assert max(over.values(), default=0.0) <= 1e-8


def test_without_time_for_them_cells_of_silent_classes_get_their_most_accurate_model() -> None:
    groups = Group("code", "-", floor=0.5), Group("chat", "-", floor=0.5)
    problem = window([[1, 5]] * 2, [[0.4, 0.9]] * 2, *groups, demand=[10, 0], group_of=[0, 1])
    solution = after(1, problem)
    assert isinstance(solution, Solution)
    assert solution.shares[1].tolist() == [0, 1]
    assert solution.certificate.stopped == "time"


def priced(problem: Problem, solves: int) -> list[tuple[str, str]]:
    deadline = Deadline((3 * solves + 0.5) * TURN_S, ticking())
    found = step_prices(problem, deadline, window_s=5.0, solve_s_max=3 * TURN_S)
    return [(price.kind, price.name) for price in found]


def test_one_limit_holds_for_all_step_prices_together() -> None:
    groups = tuple(Group(f"c{n}", "-", floor=0.75) for n in range(5))
    problem = window([[1, 5]] * 5, [[0.5, 1.0]] * 5, *groups, group_of=list(range(5)))
    assert priced(problem, 0) == []
    assert priced(problem, 4) == [("floor", "c0")] * 2 + [("floor", "c1")]
    assert len(priced(problem, 100)) == 10
