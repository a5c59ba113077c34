"""A mix stays where another would gain next to nothing, and goes where it would."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from optimizer.keeping import Kept, keep
from optimizer.problem import Budget, Floats, Group, Pin, Problem, Resource
from tests.optimizer.windows import capacity_of, plan, window

ALL = np.array([True])
FLOOR = Group("code", "-", floor=0.8)


def close_rivals() -> Problem:
    """Two cheap models that cost alike in two domains, and a dear one: an optimum that jumps."""
    return window(
        [[10.0, 10.02, 30.0]] * 2,
        [[0.75, 0.752, 0.95], [0.76, 0.758, 0.95]],
        FLOOR,
        demand=[50, 50],
    )


def kept(now: Problem, before: Problem) -> Kept:
    return keep(now, plan(now), plan(before).shares, ALL)


def moved(left: Floats, right: Floats) -> float:
    """The largest part of a cell's traffic that goes elsewhere."""
    return float(np.abs(left - right).sum(axis=1).max()) / 2


noise = hnp.arrays(np.float64, (2, 3), elements=st.floats(-0.002, 0.002))


@given(noise)
def test_noise_of_two_tenths_of_a_point_moves_nothing(of_accuracy: Floats) -> None:
    before = close_rivals()
    now = replace(before, accuracy=before.accuracy + of_accuracy)
    had = plan(before).shares
    # A mix that is too good by 0.2 points costs more than 1 % too much: that is a gain.
    gain = 1 - plan(now).cost_nano_usd / float(
        before.demand @ (had * before.cost_nano_usd).sum(axis=1)
    )
    result = kept(now, before)
    assert result.groups.all() or gain > 0.009
    if result.groups.all():
        assert moved(result.solution.shares, had) == 0.0
        assert result.solution.breaches == ()


def test_a_new_optimum_that_gains_next_to_nothing_moves_nothing() -> None:
    before = window([[10.0, 10.05]], [[0.9, 0.9]], demand=[100])
    now = replace(before, cost_nano_usd=np.array([[10.05, 10.0]]))
    assert moved(plan(now).shares, plan(before).shares) == 1.0
    assert kept(now, before).solution.shares.tolist() == plan(before).shares.tolist()


def test_a_price_that_falls_moves_the_mix_at_once() -> None:
    before = close_rivals()
    cost = before.cost_nano_usd * np.array([1.0, 1.0, 0.3])
    now = replace(before, cost_nano_usd=cost)
    assert not kept(now, before).groups.any()
    assert kept(now, before).solution.shares.tolist() == plan(now).shares.tolist()


def test_a_floor_that_is_missed_by_more_than_noise_moves_the_mix_at_once() -> None:
    before = close_rivals()
    result = kept(replace(before, accuracy=before.accuracy - 0.01), before)
    assert not result.groups.any()
    assert result.solution.accuracy[0] >= 0.8 - 1e-9


def test_a_mix_that_is_short_within_what_is_tolerated_says_so() -> None:
    before = close_rivals()
    result = kept(replace(before, accuracy=before.accuracy - 0.001), before)
    assert result.groups.tolist() == result.short.tolist() == [True]


def test_an_slo_that_is_missed_by_more_than_noise_moves_the_mix() -> None:
    before = window([[1, 5]], [[0.9, 0.9]], Group("code", "-", miss_max=0.1), miss=[[0.05, 0]])
    now = replace(before, miss=np.array([[0.12, 0.0]]))
    assert not kept(now, before).groups.any()


def test_a_floor_of_a_domain_is_held_by_what_is_kept() -> None:
    group = Group("code", "-", domain_floor=0.7)
    before = window([[1, 5]] * 2, [[0.75, 0.9]] * 2, group)
    before = replace(before, domains=np.array([0, 1]), domain_names=("law", "other"))
    now = replace(before, accuracy=np.array([[0.75, 0.9], [0.6, 0.9]]))
    assert not kept(now, before).groups.any()


def test_capacity_is_never_exceeded_by_what_is_kept() -> None:
    before = replace(close_rivals(), groups=(Group("code", "-"),))
    now = replace(before, resources=[capacity_of(before, 0, 80)])
    assert not kept(now, before).groups.any()


def test_a_pace_is_never_exceeded_by_what_is_kept() -> None:
    before = window([[10.05, 10.0]], [[0.9, 0.9]])
    now = replace(before, cost_nano_usd=np.array([[10.0, 10.05]]))
    team = Budget("team", ALL, 10.01)
    assert not kept(replace(now, budgets=[team]), before).groups.any()


def test_a_pin_moves_the_mix() -> None:
    before = close_rivals()
    assert not kept(replace(before, pins=[Pin(0, 2, share_min=0.9)]), before).groups.any()


def test_a_model_that_is_gone_moves_the_mix() -> None:
    before = replace(close_rivals(), groups=(Group("code", "-"),))
    gone = np.array([[False, True, True]] * 2)
    assert not kept(replace(before, allowed=gone), before).groups.any()


def test_nothing_is_kept_while_something_is_given_up() -> None:
    before = close_rivals()
    short = [Resource("gpu", np.ones((2, 3)), 50)]
    assert not kept(replace(before, resources=short), before).groups.any()


def test_one_group_moves_and_another_stays() -> None:
    before = window(
        [[10.0, 10.05]] * 2,
        [[0.9, 0.9]] * 2,
        Group("code", "-"),
        Group("chat", "-"),
        group_of=[0, 1],
    )
    now = replace(before, cost_nano_usd=np.array([[10.05, 10.0], [20.0, 10.0]]))
    result = keep(now, plan(now), plan(before).shares, np.array([True, True]))
    assert result.groups.tolist() == [True, False]
    assert result.solution.shares.tolist() == [[1, 0], [0, 1]]


def test_a_group_that_buys_accuracy_moves_for_more_of_it() -> None:
    group = Group("code", "-", best_within_budget=True)
    team = Budget("team", np.array([True]), 100.0)
    before = replace(window([[1, 1]], [[0.9, 0.8]], group), budgets=[team])
    now = replace(before, accuracy=np.array([[0.8, 0.9]]))
    assert not kept(now, before).groups.any()


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_more_or_fewer_requests_of_the_same_kind_move_nothing(factor: float) -> None:
    before = close_rivals()
    assert kept(replace(before, demand=before.demand * factor), before).groups.all()
