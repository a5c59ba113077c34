"""The time of its own that an attempt has, and the tail that it follows from."""

import random
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.patience import (
    ANSWERS_MIN,
    OWN_S_MIN,
    TAIL_S_MAX,
    TAIL_S_MIN,
    Tail,
    own_time_s,
)

seconds = st.floats(1e-3, 1e4)


def tail_of(*took_s: float, times: int = 1) -> Tail:
    tail = Tail()
    for _ in range(times):
        for one in took_s:
            tail.observe(one)
    return tail


def test_of_a_few_answers_no_tail_is_known_and_of_some_it_is_the_longest() -> None:
    tail = tail_of(*range(1, ANSWERS_MIN))
    assert tail.seconds is None
    tail.observe(0.5)
    assert tail.seconds == ANSWERS_MIN - 1


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.0])
def test_about_one_answer_in_twenty_comes_beyond_the_tail(spread: float) -> None:
    chance, tail, beyond = random.Random(7), Tail(), 0
    for number in range(20_000):
        took_s = chance.lognormvariate(0, spread)
        beyond += number >= 1_000 and took_s > (tail.seconds or inf)
        tail.observe(took_s)
    assert 0.04 <= beyond / 19_000 <= 0.06


def test_the_tail_follows_a_model_that_becomes_ten_times_slower_and_back() -> None:
    tail = tail_of(0.1, times=100)
    for _ in range(30):
        tail.observe(1.0)
    assert tail.seconds == pytest.approx(1.0, rel=0.1)
    for _ in range(500):
        tail.observe(0.1)
    assert tail.seconds == pytest.approx(0.1, rel=0.1)


def test_attempts_that_are_given_up_make_the_tail_longer() -> None:
    tail = tail_of(0.1, times=ANSWERS_MIN)
    for _ in range(26):
        tail.outlasted(10.0)
    assert tail.seconds == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("times", [ANSWERS_MIN - 1, ANSWERS_MIN])
def test_attempts_that_are_given_up_make_it_no_longer_than_they_were_waited_for(times: int) -> None:
    tail = tail_of(0.1, times=times)
    for _ in range(1_000):
        tail.outlasted(0.25)
    tail.observe(0.1)
    assert tail.seconds == pytest.approx(0.25, rel=0.1)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e9)), min_size=ANSWERS_MIN, max_size=300))
def test_the_tail_stays_within_bounds(answers: list[float | None]) -> None:
    tail = tail_of(*[1.0] * ANSWERS_MIN)
    for took_s in answers:
        if took_s is None:
            tail.outlasted(1e9)
        else:
            tail.observe(took_s)
    assert tail.seconds is not None
    assert TAIL_S_MIN <= tail.seconds <= TAIL_S_MAX


@pytest.mark.parametrize(
    ("slo_s", "tail_s", "own_s"),
    [
        (1.0, None, 1.0),  # of the model nothing is known
        (1.0, 0.1, 0.5),  # one more can still be in time
        (1.0, 0.2, 0.6),
        (1.0, 0.5, 1.0),  # beyond the SLO nothing is waited for
        (1.0, 4.0, 4.0),  # but the model needs it
        (None, 4.0, 12.0),
        (None, None, 50.0),  # half of what is left
        (80.0, None, 50.0),
        (None, 20.0, 50.0),
        (None, 60.0, 180.0),  # it needs more than half: it may take all
        (1.0, 60.0, 60.0),
        (0.001, 0.001, OWN_S_MIN),
    ],
)
def test_an_attempts_own_time_follows_from_the_slo_and_the_models_tail(
    slo_s: float | None, tail_s: float | None, own_s: float
) -> None:
    assert own_time_s(100.0, slo_s, tail_s) == pytest.approx(own_s)


@given(seconds, st.none() | seconds, seconds)
def test_nobody_is_given_less_than_nearly_all_of_its_models_answers_take(
    left_s: float, slo_s: float | None, tail_s: float
) -> None:
    assert own_time_s(left_s, slo_s, tail_s) >= tail_s


@given(seconds, st.none() | seconds, st.none() | seconds)
def test_time_for_one_more_is_left_unless_the_model_needs_more_than_half(
    left_s: float, slo_s: float | None, tail_s: float | None
) -> None:
    own_s = own_time_s(left_s, slo_s, tail_s)
    assert own_s <= max(left_s / 2, OWN_S_MIN) or (tail_s or 0) > left_s / 2
