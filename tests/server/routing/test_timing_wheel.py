"""What is due at some time, put in and taken out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.timing_wheel import GRAIN_S, TimingWheel

MOST = 1_000


def test_what_is_due_is_handed_out_once_and_not_before() -> None:
    wheel: TimingWheel[str] = TimingWheel()
    wheel.add("a", 1_000.0)
    assert wheel.take_due(999.99, MOST) == []
    assert wheel.take_due(1_000.0 + 2 * GRAIN_S, MOST) == ["a"]
    assert (wheel.take_due(2_000, MOST), wheel.count) == ([], 0)


def test_what_is_taken_out_is_not_handed_out() -> None:
    wheel: TimingWheel[str] = TimingWheel()
    slots = {item: wheel.add(item, 5.0) for item in ("a", "b")}
    wheel.discard("a", slots["a"])
    wheel.discard("a", slots["a"])
    assert wheel.count == 1
    assert wheel.take_due(6.0, MOST) == ["b"]
    wheel.discard("b", slots["b"])
    assert wheel.count == 0


def test_a_wheel_that_was_empty_for_long_begins_where_it_is() -> None:
    wheel: TimingWheel[str] = TimingWheel()
    wheel.discard("a", wheel.add("a", 1.0))
    wheel.add("b", 1e9)
    assert wheel.take_due(1e9 + 1, MOST) == ["b"]


def test_what_was_due_long_ago_is_handed_out_next() -> None:
    wheel: TimingWheel[str] = TimingWheel()
    wheel.add("b", 100.0)
    assert wheel.take_due(50.0, MOST) == []
    wheel.add("a", 10.0)
    assert wheel.take_due(51.0, MOST) == ["a"]
    assert wheel.take_due(101.0, MOST) == ["b"]


def test_of_many_that_are_due_only_so_many_are_handed_out_and_the_rest_next() -> None:
    wheel: TimingWheel[int] = TimingWheel()
    slots = [wheel.add(item, 1.0 + item % 2) for item in range(10)]
    first = wheel.take_due(5.0, 3)
    assert {item % 2 for item in first} == {0}
    wheel.discard(9, slots[9])
    rest = [wheel.take_due(5.0, 3) for _ in range(4)]
    assert [len(items) for items in rest] == [3, 3, 0, 0]
    assert sorted(sum(rest, first)) == list(range(9))


@given(
    st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=60),
    st.lists(st.floats(0, 25), max_size=10).map(sorted),
)
def test_everything_is_handed_out_within_a_grain_unless_it_was_taken_out(
    items: list[tuple[float, bool]], looks: list[float]
) -> None:
    wheel: TimingWheel[int] = TimingWheel()
    slots = [wheel.add(item, due_s) for item, (due_s, _) in enumerate(items)]
    for item, (_, is_taken_out) in enumerate(items):
        if is_taken_out:
            wheel.discard(item, slots[item])
    left = {item for item, (_, is_taken_out) in enumerate(items) if not is_taken_out}
    for now_s in [*looks, 30.0]:
        for item in wheel.take_due(now_s, MOST):
            left.remove(item)
            assert items[item][0] <= now_s
        assert all(items[item][0] > now_s - 2 * GRAIN_S for item in left)
        assert wheel.count == len(left)
    assert left == set()


@pytest.mark.parametrize("due_s", [0.0, 1.0, 1_700_000_000.123])
def test_an_item_waits_a_grain_at_most(due_s: float) -> None:
    wheel: TimingWheel[str] = TimingWheel()
    wheel.add("a", due_s)
    assert wheel.take_due(due_s + 1.01 * GRAIN_S, MOST) == ["a"]
