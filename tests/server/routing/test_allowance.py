import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.allowance import Allowance
from server.routing.errors import KeyBusy, KeyRate

NOW_S = 1_000.0


def allowance(
    *, requests_per_minute: int | None = None, concurrent: int | None = None, workers: int = 1
) -> Allowance:
    made = Allowance()
    made.tune(requests_per_minute, concurrent, workers=workers)
    return made


def spent(of: Allowance, *, now_s: float, tries: int) -> int:
    """How many of so many requests are let through."""
    done = 0
    for _ in range(tries):
        try:
            of.spend(1, now_s=now_s)
        except KeyRate:
            break
        done += 1
    return done


def test_a_key_without_limits_may_ask_for_anything() -> None:
    of = allowance()
    of.spend(10_000, now_s=NOW_S)
    for _ in range(1_000):
        of.enter()


def test_a_minutes_requests_may_be_asked_at_once_and_no_more() -> None:
    of = allowance(requests_per_minute=60)
    assert spent(of, now_s=NOW_S, tries=100) == 60


def test_what_was_spent_comes_back_evenly() -> None:
    of = allowance(requests_per_minute=60)
    spent(of, now_s=NOW_S, tries=60)
    assert spent(of, now_s=NOW_S + 0.9, tries=9) == 0
    assert spent(of, now_s=NOW_S + 10.5, tries=60) == 10


def test_a_refusal_says_when_to_come_back_and_then_it_is_let_through() -> None:
    of = allowance(requests_per_minute=30)
    of.spend(30, now_s=NOW_S)
    with pytest.raises(KeyRate) as caught:
        of.spend(3, now_s=NOW_S)
    assert caught.value.retry_after_s == pytest.approx(6.0)
    of.spend(3, now_s=NOW_S + 6.001)


def test_a_refusal_is_counted_for_nothing() -> None:
    of = allowance(requests_per_minute=60)
    of.spend(55, now_s=NOW_S)
    with pytest.raises(KeyRate):
        of.spend(10, now_s=NOW_S)
    of.spend(5, now_s=NOW_S)


def test_more_than_a_minutes_requests_at_once_are_never_let_through() -> None:
    of = allowance(requests_per_minute=60)
    with pytest.raises(KeyRate, match="60 requests at once, not for 61") as caught:
        of.spend(61, now_s=NOW_S)
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize(("workers", "part"), [(1, 100), (3, 34), (8, 13), (128, 1)])
def test_a_worker_has_its_part_rounded_up(workers: int, part: int) -> None:
    of = allowance(requests_per_minute=100, concurrent=100, workers=workers)
    assert spent(of, now_s=NOW_S, tries=200) == part
    for _ in range(part):
        of.enter()
    with pytest.raises(KeyBusy):
        of.enter()


@given(
    per_minute=st.integers(1, 600),
    workers=st.integers(1, 8),
    steps_s=st.lists(st.floats(0, 2), max_size=60),
)
def test_no_stretch_of_time_has_more_than_its_part_and_one_minutes(
    per_minute: int, workers: int, steps_s: list[float]
) -> None:
    of, now_s, done = allowance(requests_per_minute=per_minute, workers=workers), NOW_S, 0
    for step_s in steps_s:
        now_s += step_s
        done += spent(of, now_s=now_s, tries=1_000)
    part = per_minute / workers
    assert done <= part + 1 + part * (now_s - NOW_S) / 60 + 1e-6


def test_a_call_that_has_ended_makes_room_for_another() -> None:
    of = allowance(concurrent=1)
    of.enter()
    with pytest.raises(KeyBusy):
        of.enter()
    of.leave()
    of.enter()


def test_another_limit_forgets_nothing_of_what_was_asked() -> None:
    of = allowance(requests_per_minute=60, concurrent=2)
    of.spend(50, now_s=NOW_S)
    of.enter()
    of.tune(20, 1, workers=1)
    assert spent(of, now_s=NOW_S, tries=60) == 10
    with pytest.raises(KeyBusy):
        of.enter()


def test_a_clock_that_stands_still_gives_nothing() -> None:
    of = allowance(requests_per_minute=60)
    of.spend(60, now_s=NOW_S)
    assert spent(of, now_s=NOW_S - 5, tries=1) == 0
