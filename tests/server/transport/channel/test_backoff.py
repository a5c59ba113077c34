"""Pauses between attempts to reach an endpoint."""

from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport.channel.backoff import FIRST_S, JITTER, LONGEST_S, Backoff

chances = st.floats(0, 1, exclude_max=True)


def test_the_first_attempt_need_not_wait() -> None:
    assert Backoff(lambda: 0.5).until_s < 0


def test_pauses_grow_from_a_tenth_of_a_second_to_a_second() -> None:
    backoff, pauses_s = Backoff(lambda: 0.5), []
    for _ in range(8):
        backoff.note_failure(100.0)
        pauses_s.append(backoff.until_s - 100.0)
    assert pauses_s[0] == pytest.approx(FIRST_S)
    assert pauses_s == sorted(pauses_s)
    assert pauses_s[-1] == pytest.approx(LONGEST_S)


def test_a_success_makes_pauses_short_again() -> None:
    backoff = Backoff(lambda: 0.5)
    for _ in range(5):
        backoff.note_failure(100.0)
    backoff.note_success()
    assert backoff.until_s < 0
    backoff.note_failure(200.0)
    assert backoff.until_s == pytest.approx(200.0 + FIRST_S)


@given(drawn=st.lists(chances, min_size=1, max_size=12))
def test_no_pause_is_beyond_the_longest_or_the_first_by_more_than_its_jitter(
    drawn: list[float],
) -> None:
    chance = iter(drawn)
    backoff = Backoff(lambda: next(chance))
    for _ in drawn:
        backoff.note_failure(0.0)
        assert FIRST_S * (1 - JITTER) <= backoff.until_s <= LONGEST_S * (1 + JITTER)


@pytest.mark.parametrize("failures", [1, 20])
def test_those_that_failed_together_do_not_knock_together(failures: int) -> None:
    backoffs = [Backoff(repeat(chance).__next__) for chance in (0.1, 0.5, 0.7, 0.9)]
    for backoff in backoffs:
        for _ in range(failures):
            backoff.note_failure(0.0)
    untils_s = [backoff.until_s for backoff in backoffs]
    assert untils_s == sorted(set(untils_s))
