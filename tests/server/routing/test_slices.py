"""A model is never asked by more at one time than it can take, however many workers there are."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.slices import Slices, kept_back, slice_of, turn_of

capacities = st.floats(0.01, 500)


@given(capacities, st.integers(0, 200), st.integers(1, 128))
def test_the_slices_of_all_workers_add_up_to_the_capacity(
    capacity: float, model: int, workers: int
) -> None:
    slices = [slice_of(capacity, model, place, workers) for place in range(workers)]
    assert sum(slices) == max(int(capacity), 1)
    assert max(slices) - min(slices) <= 1


def test_what_is_left_by_dividing_goes_to_other_workers_for_each_model() -> None:
    of_place_0 = [slice_of(1, model, 0, 3) for model in range(6)]
    assert of_place_0 == [1, 0, 0, 1, 0, 0]


def test_workers_that_know_a_model_by_other_places_have_slices_that_add_up() -> None:
    """One that was started after the file had its models in another order."""
    turn = turn_of("small")
    fleet = [Slices(place, 2) for place in range(2)]
    for slices, model in zip(fleet, (0, 1), strict=True):
        slices.tune([(model, turn, 1.0)])
    assert sum(not slices.full for slices in fleet) == 1


@given(st.integers(1, 1_000))
def test_what_is_kept_back_leaves_most_of_a_slice(slice_: int) -> None:
    assert kept_back(slice_) <= slice_ / 2


def test_a_slice_is_full_while_all_of_it_is_in_flight() -> None:
    slices = Slices()
    slices.tune([(3, 3, 2.0)])
    seen = []
    for move in (slices.take, slices.take, slices.give_back, slices.give_back):
        move(3)
        seen.append((slices.nearly_full, slices.full))
    assert seen == [(8, 0), (8, 8), (8, 0), (0, 0)]


def test_a_worker_without_a_slice_asks_nobody() -> None:
    slices = Slices(1, 2)
    slices.tune([(0, 0, 1.0)])
    assert (slices.nearly_full, slices.full) == (1, 1)


@given(st.integers(0, 40), st.integers(0, 40))
def test_what_is_full_is_nearly_full(capacity: int, taken: int) -> None:
    slices = Slices()
    slices.tune([(0, 0, float(max(capacity, 1)))])
    for _ in range(taken):
        slices.take(0)
        assert slices.nearly_full >= slices.full


def test_a_model_without_a_limit_is_never_full() -> None:
    slices = Slices()
    for _ in range(1_000):
        slices.take(0)
    assert (slices.nearly_full, slices.full) == (0, 0)


def test_what_was_in_flight_before_a_limit_changed_counts_under_the_new_one() -> None:
    slices = Slices()
    slices.take(0)
    slices.tune([(0, 0, 1.0)])
    assert slices.full == 1
    slices.tune([(0, 0, 2.0)])
    assert slices.full == 0
    slices.take(0)
    slices.take(0)
    slices.tune([(0, 0, 1.0)])
    slices.give_back(0)
    assert slices.full == 1  # two more are out than may be
    slices.tune([])
    assert slices.full == 0


@given(capacities, st.integers(1, 40), st.integers(0, 2**32))
def test_no_more_are_in_flight_in_all_than_the_capacity_whatever_the_number_of_workers(
    capacity: float, workers: int, seed: int
) -> None:
    chance, in_flight = random.Random(seed), list[Slices]()
    fleet = [Slices(place, workers) for place in range(workers)]
    for slices in fleet:
        slices.tune([(0, 0, capacity)])
    for _ in range(1_000):
        slices = chance.choice(fleet)
        if chance.random() < 0.6 and not slices.full:
            slices.take(0)
            in_flight.append(slices)
        elif in_flight:
            in_flight.pop(chance.randrange(len(in_flight))).give_back(0)
        assert len(in_flight) <= max(capacity, 1)


def test_all_workers_together_can_use_all_of_a_capacity() -> None:
    fleet = [Slices(place, 3) for place in range(3)]
    taken = 0
    for slices in fleet:
        slices.tune([(0, 0, 10.0)])
        while not slices.full:
            slices.take(0)
            taken += 1
    assert taken == pytest.approx(10)
