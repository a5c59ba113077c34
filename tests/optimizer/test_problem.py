"""A window that cannot be meant is refused, with the name of the field."""

from dataclasses import replace

import numpy as np
import pytest

from optimizer.problem import Budget, Group, Pin, Problem, Resource, group_labels
from tests.optimizer.windows import window

WINDOW = window([[1, 2], [3, 4]], [[0.5, 0.6], [0.7, 0.8]])
NAN = float("nan")


def wrong(**changes: object) -> Problem:
    return replace(WINDOW, **changes)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    "changes",
    [
        {"demand": np.array([1.0, -1.0])},
        {"demand": np.array([1.0, np.inf])},
        {"demand": np.ones((2, 1))},
        {"cost_nano_usd": np.array([[1.0, 2.0]])},
        {"cost_nano_usd": np.array([[1.0, 2.0], [NAN, 1.0]])},
        {"cost_nano_usd": np.array([[1.0, 2.0], [-1.0, 1.0]])},
        {"accuracy": np.array([[0.1, 0.2], [1.1, 0.1]])},
        {"accuracy": np.array([[0.1, 0.2], [NAN, 0.1]])},
        {"miss": np.array([[0.1, 0.2], [-0.1, 0.1]])},
        {"allowed": np.ones((2, 3), dtype=bool)},
        {"allowed": np.array([[True, True], [False, False]])},
        {"group_of": np.array([0, 1])},
        {"group_of": np.array([0, -1])},
        {"group_of": np.array([0])},
        {"pools": np.array([0])},
        {"pools": np.array([0, -1])},
        {"models": ("m0", "m0")},
        {"groups": (Group("code", "-"), Group("code", "-"))},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_field_that_cannot_be_meant_is_named(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        wrong(**changes)


def test_cells_without_an_allowed_model_are_told_by_number() -> None:
    with pytest.raises(ValueError, match=r"cells \[1\] have no allowed model"):
        wrong(allowed=np.array([[True, True], [False, False]]))


def test_a_pool_is_of_one_group() -> None:
    two = window([[1], [1]], [[1], [1]], Group("code", "-"), Group("chat", "-"), group_of=[0, 1])
    with pytest.raises(ValueError, match=r"pools: the pool of cell \[0\] is of two groups"):
        replace(two, pools=np.array([0, 0]))
    assert replace(two, pools=np.array([2, 0])).pool_count == 3


def test_arrays_that_disagree_on_the_number_of_cells_are_refused() -> None:
    with pytest.raises(ValueError, match=r"group_of has shape \(2,\), not \(1,\)"):
        wrong(demand=np.array([1.0]))


@pytest.mark.parametrize("bound", [-0.01, 1.01, NAN])
def test_a_bound_outside_0_to_1_is_refused(bound: float) -> None:
    with pytest.raises(ValueError, match="floor of class code"):
        Group("code", "-", floor=bound)
    with pytest.raises(ValueError, match="miss_max of class code"):
        Group("code", "-", miss_max=bound)


@pytest.mark.parametrize("amount", [-1.0, NAN, float("inf")])
def test_an_amount_that_is_negative_or_not_finite_is_refused(amount: float) -> None:
    with pytest.raises(ValueError, match="capacity of resource gpu"):
        Resource("gpu", np.ones((2, 2)), amount)
    with pytest.raises(ValueError, match="pace_nano_usd of budget team"):
        Budget("team", np.ones(2, dtype=bool), amount)


def test_a_use_that_is_negative_is_refused() -> None:
    with pytest.raises(ValueError, match="use of resource gpu"):
        Resource("gpu", -np.ones((2, 2)), 1.0)


def test_arrays_of_resources_and_budgets_have_the_shape_of_the_window() -> None:
    with pytest.raises(ValueError, match="use of resource gpu has shape"):
        wrong(resources=[Resource("gpu", np.ones((3, 2)), 1.0)])
    with pytest.raises(ValueError, match="cells of budget team has shape"):
        wrong(budgets=[Budget("team", np.ones(3, dtype=bool), 1.0)])


def test_two_resources_or_budgets_of_one_name_are_refused() -> None:
    gpu, team = Resource("gpu", np.ones((2, 2)), 1.0), Budget("team", np.ones(2, dtype=bool), 1.0)
    with pytest.raises(ValueError, match="resources has 'gpu' twice"):
        wrong(resources=[gpu, gpu])
    with pytest.raises(ValueError, match="budgets has 'team' twice"):
        wrong(budgets=[team, team])


def test_a_pin_is_within_0_to_1_and_points_into_the_window() -> None:
    with pytest.raises(ValueError, match="share_min of a pin is above"):
        Pin(0, 0, share_min=0.5, share_max=0.4)
    with pytest.raises(ValueError, match="share_max of a pin"):
        Pin(0, 0, share_max=1.5)
    with pytest.raises(ValueError, match="model of a pin"):
        wrong(pins=[Pin(0, 2)])
    with pytest.raises(ValueError, match="group of a pin"):
        wrong(pins=[Pin(1, 0)])


def test_a_group_is_called_by_its_class_and_by_its_payer_where_the_class_has_several() -> None:
    groups = Group("code", "a"), Group("code", "b"), Group("chat", "a")
    assert group_labels(groups) == ("code (a)", "code (b)", "chat")
