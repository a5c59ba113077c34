from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.supervisor.balance import HELD_MAX, UNTAKEN_MAX, Balance


def balance_of(count: int) -> Balance:
    balance = Balance()
    for index in range(count):
        balance.join(f"worker-{index}")
    return balance


def hand(balance: Balance, *, taken: bool = True) -> str:
    worker = balance.pick()
    assert worker is not None
    balance.handed(worker)
    balance.count_connections(worker, taken=int(taken), ended=0)
    return worker


def test_without_workers_there_is_nobody_to_pick() -> None:
    assert Balance().pick() is None


@pytest.mark.parametrize("connections", [1, 2, 4, 16])
def test_few_connections_are_spread_evenly(connections: int) -> None:
    balance = balance_of(4)
    held = Counter(hand(balance) for _ in range(connections))
    assert max(held.values()) == -(-connections // 4)


def test_the_worker_that_holds_the_fewest_is_picked() -> None:
    balance = balance_of(3)
    for _ in range(6):
        hand(balance)
    balance.count_connections("worker-1", taken=0, ended=1)
    assert hand(balance) == "worker-1"


def test_those_that_hold_as_few_take_turns() -> None:
    balance = balance_of(3)
    turns = []
    for _ in range(6):
        turns.append(hand(balance))
        balance.count_connections(turns[-1], taken=0, ended=1)  # so that they always hold as few
    assert turns == 2 * ["worker-0", "worker-1", "worker-2"]


def test_a_worker_that_takes_nothing_gets_no_more_than_a_burst() -> None:
    balance = balance_of(1)
    for _ in range(UNTAKEN_MAX):
        hand(balance, taken=False)
    assert balance.pick() is None
    balance.count_connections("worker-0", taken=1, ended=0)
    assert balance.pick() == "worker-0"


def test_the_others_get_what_a_worker_does_not_take() -> None:
    balance = balance_of(2)
    for _ in range(2 * UNTAKEN_MAX):
        worker = hand(balance, taken=False)
        balance.count_connections(
            worker, taken=int(worker == "worker-1"), ended=int(worker == "worker-1")
        )
    assert hand(balance) == "worker-1"


def test_a_worker_whose_channel_is_full_waits_until_it_has_taken_some() -> None:
    balance = balance_of(1)
    hand(balance, taken=False)
    balance.full("worker-0")
    assert balance.pick() is None
    balance.count_connections("worker-0", taken=0, ended=1)
    assert balance.pick() is None
    balance.count_connections("worker-0", taken=1, ended=0)
    assert balance.pick() == "worker-0"


def test_a_worker_holds_a_bounded_number() -> None:
    balance = balance_of(1)
    for _ in range(HELD_MAX):
        hand(balance)
    assert balance.pick() is None
    balance.count_connections("worker-0", taken=0, ended=1)
    assert balance.pick() == "worker-0"


def test_a_worker_that_is_gone_is_not_picked() -> None:
    balance = balance_of(2)
    balance.leave("worker-0")
    assert {hand(balance) for _ in range(3)} == {"worker-1"}


def test_a_worker_that_came_back_holds_nothing() -> None:
    balance = balance_of(2)
    for _ in range(8):
        hand(balance)
    balance.join("worker-0")
    assert [hand(balance) for _ in range(4)] == 4 * ["worker-0"]


@given(ends=st.lists(st.integers(0, 3), max_size=60))
def test_the_next_connection_never_goes_to_a_worker_that_holds_more(ends: list[int]) -> None:
    balance = balance_of(4)
    held = dict.fromkeys((f"worker-{index}" for index in range(4)), 0)
    for end in ends:
        worker = hand(balance)
        assert held[worker] == min(held.values())
        held[worker] += 1
        if held[f"worker-{end}"]:
            held[f"worker-{end}"] -= 1
            balance.count_connections(f"worker-{end}", taken=0, ended=1)
