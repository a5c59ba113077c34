"""How many requests each model takes at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.allotment import allotted

owed = st.lists(st.floats(-1_000, 1_000), min_size=1, max_size=8)
counts = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("owed", "count", "taken"),
    [
        ([0.6, 0.4], 1, [1, 0]),
        ([6.0, 4.0], 10, [6, 4]),
        ([2.5, 1.3, 1.2], 5, [3, 1, 1]),
        ([3.0, -2.0], 1, [1, 0]),  # one in debt gets none before its debt is paid
        ([3.0, -2.0], 7, [6, 1]),
        ([7.0], 3, [3]),
        ([0.0, 0.0, 0.0], 0, [0, 0, 0]),
    ],
)
def test_whoever_is_owed_more_takes_more(owed: list[float], count: int, taken: list[int]) -> None:
    assert allotted(owed, count) == taken


@given(owed, counts)
def test_every_request_is_taken_once(owed: list[float], count: int) -> None:
    taken = allotted(owed, count)
    assert sum(taken) == count
    assert min(taken) >= 0


@given(owed, counts)
def test_those_who_take_are_left_with_the_same_but_for_one_request_and_others_with_no_more(
    owed: list[float], count: int
) -> None:
    taken = allotted(owed, count)
    left = [each - took for each, took in zip(owed, taken, strict=True)]
    of_takers = [each for each, took in zip(left, taken, strict=True) if took]
    assert max(left) - min(of_takers, default=max(left)) <= 1 + 1e-6
