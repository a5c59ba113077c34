"""When a connection is asked, retired or given up; on a clock that the test turns."""

import pytest

from server.transport.serving.limits import ServerLimits
from server.transport.serving.watch import ACKNOWLEDGE_S, Action, Due, Look, Watch

LIMITS = ServerLimits(
    stall_s_max=30.0,
    idle_s_max=300.0,
    keepalive_s=60.0,
    keepalive_answer_s_max=20.0,
    age_s_max=600.0,
    retirement_s_max=120.0,
)
QUIET = Look(calls=0, is_congested=False)
BUSY = Look(calls=1, is_congested=False)
CONGESTED = Look(calls=1, is_congested=True)
WAIT = Due(Action.WAIT)
STEPS_S = (0.0, 0.001)  # in the same step of a clock, and one later


def watch(chance: float = 0.5) -> Watch:
    return Watch(LIMITS, chance=chance, now_s=0.0)


def test_a_connection_without_calls_retires_when_it_was_idle_for_long() -> None:
    watched = watch()
    assert watched.look(QUIET, now_s=299.999) == WAIT
    assert watched.look(QUIET, now_s=300.0) == Due(Action.RETIRE, "idle")


def test_the_end_of_a_long_call_begins_the_idle_time_anew() -> None:
    watched = watch()
    watched.received_s = 290.0
    assert watched.look(BUSY, now_s=290.0) == WAIT
    assert watched.look(QUIET, now_s=589.999) == WAIT


@pytest.mark.parametrize(("chance", "age_s"), [(0.0, 540.0), (0.5, 600.0), (1.0, 660.0)])
def test_a_connection_retires_at_its_age_give_or_take_a_tenth(chance: float, age_s: float) -> None:
    watched = watch(chance)
    watched.received_s = age_s
    assert watched.look(BUSY, now_s=age_s - 0.001) == WAIT
    assert watched.look(BUSY, now_s=age_s) == Due(Action.RETIRE, "age")


@pytest.mark.parametrize("step_s", STEPS_S)
def test_a_silent_peer_with_calls_is_asked_and_then_given_up(step_s: float) -> None:
    watched = watch()
    assert watched.look(BUSY, now_s=59.999) == WAIT
    asked_s = 60.0 + step_s
    assert watched.look(BUSY, now_s=asked_s) == Due(Action.PING)
    assert watched.look(BUSY, now_s=asked_s + 19.999) == WAIT
    assert watched.look(BUSY, now_s=asked_s + 20.0) == Due(Action.GIVE_UP, "keepalive")


def test_what_waits_to_be_handled_may_be_the_sign_of_life_that_was_asked_for() -> None:
    watched = watch()
    assert watched.look(BUSY, now_s=60.0) == Due(Action.PING)
    assert watched.look(BUSY._replace(is_behind=True), now_s=79.0) == WAIT
    assert watched.look(BUSY, now_s=80.0) == WAIT


def test_a_connection_leaves_once() -> None:
    watched = watch()
    assert [watched.leave(), watched.leave(), watched.has_left] == [True, False, True]


@pytest.mark.parametrize("round_trip_s", [*STEPS_S, 1.0, 19.5])
def test_a_peer_that_answers_is_asked_again_after_the_next_silence(round_trip_s: float) -> None:
    watched = watch()
    answered_s = 0.0
    for _ in range(5):
        asked_s = answered_s + 60.0
        assert watched.look(BUSY, now_s=asked_s - 0.001) == WAIT
        assert watched.look(BUSY, now_s=asked_s) == Due(Action.PING)
        watched.received_s = answered_s = asked_s + round_trip_s
        assert watched.look(BUSY, now_s=answered_s) == WAIT


def test_a_peer_that_we_do_not_read_because_it_reads_slowly_is_not_asked() -> None:
    watched = watch()
    assert watched.look(BUSY, now_s=60.0) == Due(Action.PING)
    for now_s in range(70, 200, 10):  # its answer cannot be read
        assert watched.look(CONGESTED, now_s=now_s) == WAIT
    assert watched.look(BUSY, now_s=249.9) == WAIT
    assert watched.look(BUSY, now_s=250.0) == Due(Action.PING)


def test_a_silent_peer_without_calls_is_not_asked() -> None:
    assert watch().look(QUIET, now_s=200.0) == WAIT


def test_a_connection_retires_once() -> None:
    watched = watch()
    assert watched.retire(1.0)
    assert not watched.retire(2.0)


def test_a_retiring_connection_leaves_without_waiting_for_the_ping_for_ever() -> None:
    watched = watch()
    watched.retire(10.0)
    assert watched.look(QUIET, now_s=10.0 + ACKNOWLEDGE_S - 0.001) == WAIT
    assert watched.look(QUIET, now_s=10.0 + ACKNOWLEDGE_S) == Due(Action.LEAVE)


def test_a_connection_that_has_left_is_ended_when_its_calls_do_not_end() -> None:
    watched = watch()
    watched.retire(10.0)
    watched.has_left = True
    watched.received_s = 129.0
    assert watched.look(BUSY, now_s=129.999) == WAIT
    assert watched.look(BUSY, now_s=130.0) == Due(Action.END, "retirement")


def test_a_connection_that_has_left_waits_for_calls_that_last_and_ends_the_others() -> None:
    watched = watch()
    watched.retire(10.0)
    watched.has_left = True
    watched.received_s = 129.0
    both = Look(calls=2, is_congested=False, lasting=1)
    assert watched.look(both, now_s=130.0) == Due(Action.END_OTHERS, "retirement")
    watched.received_s = 1_000.0
    assert watched.look(both._replace(calls=1), now_s=1_001.0) == WAIT
    assert watched.look(both._replace(lasting=0), now_s=1_001.0) == Due(Action.END, "retirement")


def test_a_retiring_connection_does_not_retire_again_for_its_age() -> None:
    watched = watch()
    watched.retire(550.0)
    watched.has_left = True
    assert watched.look(QUIET, now_s=661.0) == WAIT


def test_no_limit_is_passed_by_more_than_half_of_it() -> None:
    assert watch().look_s == 10.0
