"""Who gives way when not everybody can be served: evenly, alone, and at an exchange."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.problem import Floats, Group, Problem, Resource
from tests.optimizer.windows import capacity_of, plan, window


def tenants(*demand: float, capacity: float) -> Problem:
    """Groups of one class, each its own payer, at one model."""
    groups = [Group("code", f"team-{n}") for n in range(len(demand))]
    ones = [[1.0]] * len(demand)
    problem = window(ones, ones, *groups, demand=demand, group_of=list(range(len(demand))))
    return replace(problem, resources=[capacity_of(problem, 0, capacity)])


def test_equal_tenants_are_shed_alike() -> None:
    assert plan(tenants(50, 50, capacity=70)).shed == pytest.approx([0.3, 0.3])


@given(st.lists(st.integers(1, 100), min_size=2, max_size=6), st.integers(1, 99))
def test_what_does_not_fit_is_shed_in_proportion_to_demand(
    demand: list[int], hundredths: int
) -> None:
    part = hundredths / 100
    solution = plan(tenants(*demand, capacity=sum(demand) * part))
    assert solution.shed == pytest.approx(np.full(len(demand), 1 - part), abs=1e-6)


def test_who_uses_a_little_more_is_shed_no_more() -> None:
    problem = tenants(50, 50, capacity=0)
    gpu = Resource("gpu", np.array([[1.0], [1.3]]), 85)
    assert plan(replace(problem, resources=[gpu])).shed == pytest.approx([30 / 115] * 2)


def test_those_who_share_what_is_short_are_shed_alike_and_others_not_at_all() -> None:
    problem = tenants(*[10] * 12, capacity=0)
    gpu = Resource("gpu", np.array([[1.0]] * 2 + [[0.0]] * 10), 10)
    expected = [0.5] * 2 + [0.0] * 10
    assert plan(replace(problem, resources=[gpu])).shed == pytest.approx(expected, abs=1e-6)


def domains(use: Floats, capacity: float, *groups: Group) -> Problem:
    """Two domains of one class, of 90 and 10 requests, each a pool."""
    problem = window([[1], [1]], [[0.5], [1]], *groups, demand=[90, 10])
    return replace(
        problem, pools=np.array([0, 1]), resources=[Resource("gpu", use[:, None], capacity)]
    )


def test_a_domain_that_takes_a_hundred_times_as_much_is_shed_alone() -> None:
    solution = plan(domains(np.array([1.0, 100.0]), 100))
    assert solution.shed == pytest.approx([0, 0.99], abs=1e-6)
    assert solution.group_shed == pytest.approx([0.099])


def test_a_domain_that_nothing_can_serve_is_refused_alone() -> None:
    problem = domains(np.array([0.0, 1.0]), 0)
    assert plan(problem).shed == pytest.approx([0, 1])


def test_no_domain_is_refused_to_lift_a_mean() -> None:
    problem = domains(np.ones(2), 50, Group("code", "-", floor=0.9))
    solution = plan(problem)
    assert solution.shed == pytest.approx([0.5, 0.5])
    assert solution.accuracy == pytest.approx([0.55])


def two_classes(high: float, *, best: float = 0.9) -> Problem:
    """A high class may use either of two models, a low one only the better, which one can fill."""
    groups = Group("high", "-", priority=1, floor=0.9), Group("bulk", "-")
    problem = window([[1, 5]] * 2, [[high, best]] * 2, *groups, demand=[100, 100], group_of=[0, 1])
    may = np.array([[True, True], [False, True]])
    return replace(problem, allowed=may, resources=[capacity_of(problem, 1, 100)])


def test_a_class_is_not_refused_to_lift_the_mean_of_a_higher_one_by_a_hundredth() -> None:
    solution = plan(two_classes(0.89))
    assert solution.shed == pytest.approx([0, 0])
    assert solution.accuracy[0] == pytest.approx(0.89)


def test_a_class_is_refused_where_that_brings_a_higher_one_a_right_answer_for_ten_requests() -> (
    None
):
    solution = plan(two_classes(0.79))
    assert solution.shed == pytest.approx([0, 1])
    assert solution.accuracy[0] == pytest.approx(0.9)


@given(st.integers(50, 89))
def test_no_more_than_ten_requests_are_refused_for_a_right_answer(hundredths: int) -> None:
    solution = plan(two_classes(hundredths / 100))
    gained = 100 * (solution.accuracy[0] - hundredths / 100)
    assert 100 * solution.shed[1] <= 10 * gained + 1e-6
