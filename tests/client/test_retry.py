"""When a call is sent again, decided on given clocks and dice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout import RetryPolicy, Unavailable, Unreachable
from turnout.retry import WAIT_S_MAX, Call, Terms
from turnout.v1.routing_pb2 import RouteRequest

POLICY = RetryPolicy(attempts_max=1_000, backoff_first_s=0.1, backoff_s_max=2.0)
chances = st.floats(0, 1, exclude_max=True)


def a_call(timeout_s: float | None, policy: RetryPolicy = POLICY) -> Call:
    return Terms(timeout_s=timeout_s, retry=policy).call(RouteRequest(), None, now_s=100.0)


@given(attempt=st.integers(0, 300), chance=chances, retry_after_s=st.floats(0, 5))
def test_a_pause_doubles_up_to_its_bound_and_follows_the_servers(
    attempt: int, chance: float, retry_after_s: float
) -> None:
    call = a_call(None)
    for _ in range(attempt):
        call.wait_s(Unavailable("busy"), now_s=100.0, random=0.5)
    error = Unavailable("busy", domain="turnout", retry_after_s=retry_after_s)
    wait_s = call.wait_s(error, now_s=100.0, random=chance)
    whole_s = min(0.1 * 2 ** min(attempt, 10), 2.0)
    assert wait_s is not None
    assert retry_after_s + whole_s / 2 <= wait_s <= retry_after_s + whole_s


@given(chance=chances, spent_s=st.floats(0, 60), retry_after_s=st.floats(0, 60))
def test_no_pause_reaches_the_deadline(chance: float, spent_s: float, retry_after_s: float) -> None:
    error = Unavailable("busy", domain="turnout", retry_after_s=retry_after_s)
    wait_s = a_call(30.0).wait_s(error, now_s=100.0 + spent_s, random=chance)
    if wait_s is None:
        assert spent_s + retry_after_s + 0.1 >= 30.0
    else:
        assert spent_s + wait_s < 30.0


def test_without_a_deadline_a_pause_has_a_bound_of_its_own() -> None:
    within = Unavailable("busy", retry_after_s=WAIT_S_MAX - 0.2)
    beyond = Unavailable("busy", retry_after_s=WAIT_S_MAX)
    assert a_call(None).wait_s(within, now_s=100.0, random=0.0) is not None
    assert a_call(None).wait_s(beyond, now_s=100.0, random=0.0) is None


@given(attempts_max=st.integers(1, 20))
def test_no_call_has_more_attempts_than_the_policy_grants(attempts_max: int) -> None:
    call = a_call(None, RetryPolicy(attempts_max=attempts_max))
    waits = [call.wait_s(Unreachable("gone"), now_s=100.0, random=0.0) for _ in range(20)]
    assert waits.index(None) + 1 == attempts_max


def test_a_call_may_have_arrived_unless_no_attempt_found_a_connection() -> None:
    call = a_call(None)
    call.wait_s(Unreachable("gone"), now_s=100.0, random=0.0)
    assert not call.may_have_arrived
    call.wait_s(Unavailable("busy"), now_s=100.0, random=0.0)
    call.wait_s(Unreachable("gone"), now_s=100.0, random=0.0)
    assert call.may_have_arrived


def test_a_calls_own_time_goes_before_the_clients() -> None:
    terms = Terms(timeout_s=60.0, retry=POLICY)
    assert terms.call(RouteRequest(), 2.0, now_s=100.0).left_s(101.5) == pytest.approx(0.5)
    assert terms.call(RouteRequest(), None, now_s=100.0).left_s(101.5) == pytest.approx(58.5)


def test_the_default_patience_outlasts_the_restart_of_a_worker() -> None:
    call = a_call(None, RetryPolicy())
    waits_s = [call.wait_s(Unreachable("gone"), now_s=100.0, random=0.0) for _ in range(5)]
    assert sum(wait_s or 0 for wait_s in waits_s) > 1.5


def of_turnout(reason: str) -> Unavailable:
    return Unavailable("try again", reason=reason, domain="turnout", retry_after_s=1)


def is_sent_again(terms: Terms, error: Unavailable) -> bool:
    call = terms.call(RouteRequest(), None, now_s=100.0)
    return call.wait_s(error, now_s=100.0, random=0.0) is not None


@given(
    st.lists(st.booleans(), max_size=300),
    st.integers(0, 20),
    st.floats(0, 1),
)
def test_refused_calls_are_sent_again_within_a_budget_of_the_whole_client(
    answered: list[bool], most: int, ratio: float
) -> None:
    terms = Terms(timeout_s=None, retry=RetryPolicy(refused_max=most, refused_ratio=ratio))
    answers = again = 0
    for is_answered in answered:
        if is_answered:
            terms.call(RouteRequest(), None, now_s=100.0).answered()
            answers += 1
        else:
            again += is_sent_again(terms, of_turnout("SHED"))
        assert again <= most + ratio * answers + 1e-6


def test_answers_fill_a_budget_again_up_to_where_it_began() -> None:
    terms = Terms(timeout_s=None, retry=RetryPolicy(refused_max=2, refused_ratio=0.1))
    assert [is_sent_again(terms, of_turnout("SHED")) for _ in range(3)] == [True, True, False]
    for _ in range(10):
        terms.call(RouteRequest(), None, now_s=100.0).answered()
    assert [is_sent_again(terms, of_turnout("SHED")) for _ in range(2)] == [True, False]
    for _ in range(1_000):
        terms.call(RouteRequest(), None, now_s=100.0).answered()
    assert [is_sent_again(terms, of_turnout("SHED")) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("gone"),
        Unavailable("cut off"),
        of_turnout("CONTROL_PLANE_DOWN"),
        of_turnout("NOT_READY"),
        Unavailable("theirs", reason="OVERLOADED", domain="upstream"),
    ],
)
def test_what_was_not_refused_as_too_much_needs_no_budget(error: Unavailable) -> None:
    terms = Terms(timeout_s=None, retry=RetryPolicy(refused_max=0))
    assert is_sent_again(terms, error)
    assert not is_sent_again(terms, of_turnout("SHED"))
    assert not is_sent_again(terms, of_turnout("OVERLOADED"))


def test_every_call_outlasts_a_control_plane_that_is_started_again() -> None:
    terms, error = Terms(timeout_s=None, retry=RetryPolicy()), of_turnout("CONTROL_PLANE_DOWN")
    calls = [terms.call(RouteRequest(), None, now_s=100.0) for _ in range(50)]
    for _ in range(RetryPolicy().attempts_max - 1):
        waits_s = [call.wait_s(error, now_s=100.0, random=0.0) for call in calls]
        assert None not in waits_s


def test_a_call_that_is_not_sent_again_anyway_spends_no_budget() -> None:
    terms = Terms(timeout_s=None, retry=RetryPolicy(refused_max=1))
    late = Unavailable("busy", domain="turnout", retry_after_s=WAIT_S_MAX)
    assert [is_sent_again(terms, error) for error in (late, of_turnout("SHED"))] == [False, True]
