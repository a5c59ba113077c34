"""Sums that forget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.estimate.decayed import DecayedSums


def sums(*, keys_max: int = 10) -> DecayedSums[str]:
    return DecayedSums(2, half_life_s=10.0, keys_max=keys_max)


def test_half_is_gone_after_a_half_life() -> None:
    decayed = sums()
    decayed.add("a", (8.0, 2.0), now_s=100.0)
    assert decayed.of("a", now_s=110.0) == pytest.approx([4.0, 1.0])


def test_what_was_told_at_different_times_adds_up_as_each_has_decayed() -> None:
    decayed = sums()
    decayed.add("a", (8.0, 0.0), now_s=0.0)
    decayed.add("a", (1.0, 1.0), now_s=20.0)
    assert decayed.of("a", now_s=20.0) == pytest.approx([3.0, 1.0])


def test_a_key_that_was_never_told_of_has_nothing() -> None:
    assert sums().of("a", now_s=0.0).tolist() == [0, 0]
    assert sums().all(now_s=0.0)[1].shape == (0, 2)


def test_a_late_telling_counts_as_if_it_had_come_in_time() -> None:
    decayed = sums()
    decayed.add("a", (1.0, 0.0), now_s=50.0)
    decayed.add("a", (4.0, 0.0), now_s=30.0)
    assert decayed.of("a", now_s=50.0)[0] == pytest.approx(2.0)


def test_no_time_is_too_long() -> None:
    decayed = sums()
    for day in range(40):
        decayed.add("a", (1.0, 1.0), now_s=day * 86_400.0)
    assert decayed.of("a", now_s=39 * 86_400.0) == pytest.approx([1.0, 1.0])


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 1_000)), min_size=1, max_size=8))
def test_taking_everything_back_leaves_nothing(told: list[tuple[float, float]]) -> None:
    decayed = sums()
    told.sort(key=lambda telling: telling[1])
    for value, now_s in told:
        decayed.add("a", (value, 1.0), now_s)
    for value, told_s in told:
        decayed.take_back("a", (value, 1.0), told_s)
    assert decayed.of("a", now_s=told[-1][1]) == pytest.approx([0.0, 0.0], abs=1e-6)


def test_what_rounding_leaves_of_a_key_is_forgotten() -> None:
    decayed = sums()
    decayed.add("a", (0.1, 0.0), now_s=3.0)
    decayed.take_back("a", (0.1, 0.0), told_s=3.0)
    assert len(decayed) == 0


def test_nothing_falls_below_nothing() -> None:
    decayed = sums()
    decayed.add("a", (1.0, 0.2), now_s=0.0)
    decayed.take_back("a", (0.5, 1.0), told_s=0.0)
    assert decayed.of("a", now_s=0.0).tolist() == [0.5, 0]


def test_a_key_that_was_forgotten_has_nothing_to_take_back() -> None:
    decayed = sums()
    decayed.take_back("a", (1.0, 1.0), told_s=0.0)
    assert len(decayed) == 0


def test_the_key_told_of_longest_ago_makes_room() -> None:
    decayed = sums(keys_max=2)
    for key in ("a", "b", "a", "c"):
        decayed.add(key, (1.0, 1.0), now_s=0.0)
    assert sorted(decayed.all(now_s=0.0)[0]) == ["a", "c"]
