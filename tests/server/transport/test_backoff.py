"""Pauses between attempts to reach an endpoint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport.backoff import FIRST_S, JITTER, LONGEST_S, Backoff

chances = st.floats(0, 1, exclude_max=True)


def test_the_first_attempt_need_not_wait() -> None:
    assert Backoff(lambda: 0.5).until_s < 0


def test_pauses_grow_from_a_tenth_of_a_second_to_a_second() -> None:
    backoff, pauses_s = Backoff(lambda: 0.5), []
    for _ in range(8):
        backoff.failed(100.0)
        pauses_s.append(backoff.until_s - 100.0)
    assert pauses_s[0] == pytest.approx(FIRST_S)
    assert pauses_s == sorted(pauses_s)
    assert pauses_s[-1] == pytest.approx(LONGEST_S)


def test_a_success_makes_pauses_short_again() -> None:
    backoff = Backoff(lambda: 0.5)
    for _ in range(5):
        backoff.failed(100.0)
    backoff.succeeded()
    assert backoff.until_s < 0
    backoff.failed(200.0)
    assert backoff.until_s == pytest.approx(200.0 + FIRST_S)


@given(drawn=st.lists(chances, min_size=1, max_size=12))
def test_no_pause_is_longer_than_the_longest_nor_shorter_than_the_first_less_its_jitter(
    drawn: list[float],
) -> None:
    chance = iter(drawn)
    backoff = Backoff(lambda: next(chance))
    for _ in drawn:
        backoff.failed(0.0)
        assert FIRST_S * (1 - JITTER) <= backoff.until_s <= LONGEST_S


def test_two_that_failed_together_do_not_knock_together() -> None:
    early, late = Backoff(lambda: 0.1), Backoff(lambda: 0.9)
    early.failed(0.0)
    late.failed(0.0)
    assert early.until_s < late.until_s
