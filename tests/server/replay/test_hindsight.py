"""Limits that no policy can beat."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.replay.hindsight import (
    Means,
    best_accuracy,
    fixed_mix,
    least_cost,
    means_by_cell,
    singles,
)

ALL = np.array([True, True, True])
LAW_AND_SUMS = Means(
    weight=np.array([0.5, 0.5]),
    accuracy=np.array([[0.4, 0.8, 0.9], [0.7, 0.75, 0.9]]),
    cost=np.array([[1.0, 4.0, 20.0], [1.0, 4.0, 20.0]]),
)


def test_the_optimum_uses_each_model_where_it_gains_most() -> None:
    # The middle model for law alone: 0.5 x 0.8 + 0.5 x 0.7.
    assert least_cost(LAW_AND_SUMS, ALL, 0.75) == pytest.approx(2.5)
    assert fixed_mix(LAW_AND_SUMS, ALL, 0.75) == pytest.approx(1.0 + 3.0 * 0.2 / 0.225)
    assert best_accuracy(LAW_AND_SUMS, ALL) == pytest.approx(0.9)
    assert least_cost(LAW_AND_SUMS, ALL, 0.91) is None


def test_a_model_that_is_not_there_is_no_part_of_hindsight() -> None:
    without_large = np.array([True, True, False])
    assert best_accuracy(LAW_AND_SUMS, without_large) == pytest.approx(0.775)
    assert least_cost(LAW_AND_SUMS, without_large, 0.8) is None
    assert [single.model for single in singles(LAW_AND_SUMS, without_large)] == [0, 1]


def test_a_cell_without_requests_costs_nothing() -> None:
    empty = LAW_AND_SUMS._replace(weight=np.array([0.0, 1.0]))
    assert least_cost(empty, ALL, 0.7) == pytest.approx(1.0)


def test_means_leave_out_what_is_not_known() -> None:
    table = np.array([[1.0, np.nan], [0.0, 0.5], [1.0, np.nan]])
    means = means_by_cell(np.array([0, 0, 1]), table, 2)
    assert means.tolist() == [[0.5, 0.5], [1.0, 0.0]]


# Each example solves eight programmes.
_EXAMPLES = 20

fractions = st.floats(0.0, 1.0, allow_subnormal=False)


@settings(max_examples=_EXAMPLES)
@given(
    st.lists(fractions, min_size=6, max_size=6),
    st.lists(st.floats(0.1, 10.0), min_size=6, max_size=6),
    st.floats(0.1, 0.9),
    st.floats(0.0, 1.0),
)
def test_no_mix_of_pure_choices_is_cheaper_at_the_same_accuracy(
    accuracy: list[float], cost: list[float], weight: float, part: float
) -> None:
    means = Means(
        np.array([weight, 1 - weight]),
        np.array(accuracy).reshape(2, 3),
        np.array(cost).reshape(2, 3),
    )
    choices = [
        (
            weight * means.accuracy[0, a] + (1 - weight) * means.accuracy[1, b],
            weight * means.cost[0, a] + (1 - weight) * means.cost[1, b],
        )
        for a, b in itertools.product(range(3), repeat=2)
    ]
    for (right, dear), (other_right, other_dear) in itertools.pairwise(choices):
        reached = part * right + (1 - part) * other_right
        found = least_cost(means, ALL, reached)
        assert found is not None
        assert found <= (part * dear + (1 - part) * other_dear) * (1 + 1e-6) + 1e-6
