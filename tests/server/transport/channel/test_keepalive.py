"""When a silent peer is asked, and when it is given up."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport.channel.keepalive import Action, Keepalive, Silence

TIMES = Keepalive(silence_s=10.0, answer_s=5.0, patience_s=310.0)


def pings_s(silence: Silence, *, until_s: float) -> list[float]:
    """When a peer that answers pings, and nothing else, is asked."""
    sent, now_s = [], 0.0
    while now_s <= until_s:
        step = silence.step(now_s)
        if step.action is Action.PING:
            sent.append(now_s)
            silence.note_word(now_s)
        now_s = silence.step(now_s).next_s
    return sent


def test_a_peer_that_talks_is_not_asked() -> None:
    silence = Silence(TIMES, now_s=0.0)
    silence.note_word(9.0)
    silence.note_answer()
    assert silence.step(10.0) == (Action.WAIT, 19.0)


@pytest.mark.parametrize("late_s", [0.0, 0.001])
def test_a_dead_peer_is_given_up_fifteen_seconds_after_its_last_word(late_s: float) -> None:
    silence = Silence(TIMES, now_s=0.0)
    assert silence.step(9.999) == (Action.WAIT, 10.0)
    asked_s = 10.0 + late_s
    assert silence.step(asked_s) == (Action.PING, asked_s + 5.0)
    assert silence.step(asked_s + 4.999) == (Action.WAIT, asked_s + 5.0)
    assert silence.step(asked_s + 5.0).action is Action.GIVE_UP


@pytest.mark.parametrize("round_trip_s", [0.0, 0.001, 4.0, 4.999])
def test_a_peer_that_answers_is_not_given_up(round_trip_s: float) -> None:
    silence = Silence(TIMES, now_s=0.0)
    assert silence.step(10.0).action is Action.PING
    silence.note_word(10.0 + round_trip_s)
    assert silence.step(15.0).action is Action.WAIT
    assert silence.step(29.999 + round_trip_s).action is Action.WAIT
    assert silence.step(30.0 + round_trip_s).action is Action.PING


@pytest.mark.parametrize("late_s", [0.0, 0.001])
def test_a_call_that_begins_in_the_step_of_a_ping_begins_the_silence_anew(late_s: float) -> None:
    silence = Silence(TIMES, now_s=0.0)
    assert silence.step(10.0).action is Action.PING
    silence.note_call(10.0 + late_s)
    assert silence.step(15.0).action is Action.WAIT


def test_an_answer_to_a_call_is_as_good_as_one_to_a_ping() -> None:
    silence = Silence(TIMES, now_s=0.0)
    silence.step(10.0)
    silence.note_word(14.0)
    silence.note_answer()
    assert silence.step(15.0) == (Action.WAIT, 24.0)


def test_a_peer_that_works_long_on_a_call_is_asked_twice_and_then_seldom() -> None:
    silence = Silence(TIMES, now_s=0.0)
    assert pings_s(silence, until_s=700.0) == [10.0, 30.0, 340.0, 650.0]


def strikes(sent_s: list[float]) -> int:
    """As the servers of gRPC count them."""
    return sum(later - earlier < 300.0 for earlier, later in pairwise(sent_s))


@given(delays_s=st.lists(st.floats(0, 4.9), min_size=1, max_size=40))
def test_however_late_pings_are_answered_no_silence_makes_a_second_strike(
    delays_s: list[float],
) -> None:
    silence, now_s, sent_s = Silence(TIMES, now_s=0.0), 0.0, []
    for delay_s in delays_s:
        step = silence.step(now_s)
        if step.action is Action.PING:
            sent_s.append(now_s)
            silence.note_word(now_s + delay_s)
        now_s = max(now_s + delay_s, silence.step(now_s + delay_s).next_s)
    assert strikes(sent_s) <= 1
