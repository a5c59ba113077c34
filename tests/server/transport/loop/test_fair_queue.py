"""Who goes next, so that each gets the same share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport.loop.fair_queue import FairQueue, Share


def served(costs: dict[str, float], turns: int) -> list[str]:
    """Who went, in order, of those who always want more and take so long each time."""
    queue: FairQueue[str] = FairQueue()
    shares = {name: Share() for name in costs}
    for name, share in shares.items():
        queue.enter(share, name)
    order = []
    for _ in range(turns):
        name = queue.take()
        order.append(name)
        shares[name].mark_s += costs[name]
        queue.enter(shares[name], name)
    return order


def test_of_two_alike_each_goes_every_other_time() -> None:
    assert served({"a": 1.0, "b": 1.0}, 6) == ["a", "b"] * 3


def test_one_whose_turns_take_longer_gets_fewer() -> None:
    order = served({"long": 4.0, "short": 1.0}, 50)
    assert order.count("short") == pytest.approx(4 * order.count("long"), abs=4)


def test_one_who_was_away_has_saved_nothing_up_and_owes_nothing() -> None:
    queue: FairQueue[str] = FairQueue()
    busy, away = Share(), Share()
    queue.enter(away, "away")
    queue.take()
    for _ in range(100):
        queue.enter(busy, "busy")
        queue.take()
        busy.mark_s += 1.0
    queue.enter(busy, "busy")
    queue.enter(away, "away")
    assert queue.take() == "away"
    away.mark_s += 1.0
    queue.enter(away, "away")
    assert queue.take() == "busy"


def test_an_empty_queue_gives_nobody() -> None:
    with pytest.raises(IndexError):
        FairQueue[str]().take()


@given(
    st.lists(st.floats(0.001, 1.0), min_size=2, max_size=6),
    st.integers(1, 200),
)
def test_nobody_who_waits_gets_more_than_a_turn_ahead_of_another(
    costs: list[float], turns: int
) -> None:
    order = served({str(i): cost for i, cost in enumerate(costs)}, turns)
    had = [order.count(str(i)) * cost for i, cost in enumerate(costs)]
    assert max(had) - min(had) <= 2 * max(costs) + 1e-9
