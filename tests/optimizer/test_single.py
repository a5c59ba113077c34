"""Which models a group could be served by alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.problem import Group, Problem, Resource
from optimizer.single import Single, singles
from tests.optimizer.windows import capacity_of, plan, window

PROMISE = Group("code", "-", floor=0.8, miss_max=0.1)


def problem(group: Group = PROMISE) -> Problem:
    """Two cells, three requests and one; the third model is the dearest."""
    return window(
        [[1, 2, 5], [1, 2, 5]],
        [[0.7, 0.9, 0.95], [0.9, 0.7, 0.95]],
        group,
        demand=[3, 1],
        miss=[[0.0, 0.2, 0.1], [0.0, 0.0, 0.1]],
    )


def found(problem: Problem, g: int = 0) -> list[Single]:
    return list(singles(problem, g, np.zeros(problem.allowed.shape)))


def test_the_cheapest_comes_first_with_what_it_costs_and_is_expected_to_give() -> None:
    first, last = found(problem())
    assert (first.model, first.cost_nano_usd) == (0, 4.0)
    assert first.accuracy == pytest.approx(0.75)  # whoever asks says what is enough
    assert (last.model, last.cost_nano_usd) == (2, 20.0)
    assert last.accuracy == pytest.approx(0.95)


def test_a_model_that_is_late_too_often_over_all_requests_is_none() -> None:
    assert [one.model for one in found(problem())] == [0, 2]
    assert [one.model for one in found(problem(replace(PROMISE, miss_max=0.15)))] == [0, 1, 2]


def test_a_model_that_fails_one_domain_is_none() -> None:
    of_domains = replace(
        problem(replace(PROMISE, domain_floor=0.75)),
        domains=np.array([0, 1]),
        domain_names=("law", "other"),
    )
    assert [one.model for one in found(of_domains)] == [2]


def test_a_model_that_may_not_serve_a_cell_is_none() -> None:
    allowed = np.array([[True, True, True], [False, True, True]])
    assert [one.model for one in found(replace(problem(), allowed=allowed))] == [2]


@pytest.mark.parametrize(("capacity", "models"), [(4.0, [0, 2]), (3.9, [2])])
def test_a_model_that_cannot_take_all_is_none(capacity: float, models: list[int]) -> None:
    limited = problem()
    limited = replace(limited, resources=[capacity_of(limited, 0, capacity)])
    assert [one.model for one in found(limited)] == models


def test_what_others_are_given_of_a_capacity_is_taken() -> None:
    shared = window(
        [[1, 5], [1, 5]],
        [[0.9, 0.9], [0.9, 0.9]],
        Group("code", "-"),
        Group("chat", "-"),
        demand=[3, 2],
        group_of=[0, 1],
    )
    shared = replace(shared, resources=[Resource("m0", np.array([[1.0, 0], [1, 0]]), 4.0)])
    given_to_both = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert [one.model for one in singles(shared, 0, given_to_both)] == [1]
    given_to_one = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert [one.model for one in singles(shared, 0, given_to_one)] == [0, 1]


@given(st.data())
def test_no_mix_for_the_same_floor_is_dearer_than_the_cheapest_single_that_holds_it(
    data: st.DataObject,
) -> None:
    parts = st.integers(0, 20).map(lambda n: n / 20)
    prices = st.integers(0, 9).map(float)
    rows = st.lists(st.tuples(parts, parts, parts), min_size=2, max_size=2)
    costs = st.lists(st.tuples(prices, prices, prices), min_size=2, max_size=2)
    floor = data.draw(parts)
    group = Group("code", "-", floor=floor)
    drawn = window(data.draw(costs), data.draw(rows), group, demand=[3, 1])
    held = [one for one in found(drawn) if one.accuracy >= floor]
    if held:
        assert plan(drawn).cost_nano_usd <= held[0].cost_nano_usd + 1e-6
