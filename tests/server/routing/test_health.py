"""When an endpoint is taken out, and when it comes back."""

import pytest

from server.config.models import HealthConfig
from server.routing.health import HealthTracker

CONFIG = HealthConfig(consecutive_failures_max=3, ejection_s=10, ejection_s_max=35)
A, B, OTHER = (0, "a:1"), (0, "b:1"), (1, "a:1")


@pytest.fixture
def health() -> HealthTracker:
    tracker = HealthTracker(CONFIG)
    tracker.track([A, B, OTHER])
    return tracker


def fail(health: HealthTracker, endpoint: tuple[int, str], times: int, now_s: float) -> list[bool]:
    return [health.record_failure(endpoint, sent_s=now_s, now_s=now_s) for _ in range(times)]


def eject(health: HealthTracker, endpoint: tuple[int, str], now_s: float = 0.0) -> None:
    assert fail(health, endpoint, 3, now_s) == [False, False, True]


def ejected_at(health: HealthTracker, endpoint: tuple[int, str], now_s: float) -> bool:
    health.refresh(now_s)
    return health.is_ejected(endpoint)


def test_failures_in_a_row_eject_an_endpoint_once(health: HealthTracker) -> None:
    assert fail(health, A, 4, now_s=0) == [False, False, True, False]
    assert health.is_ejected(A)
    assert not health.is_ejected(B)


def test_a_success_between_failures_starts_the_row_anew(health: HealthTracker) -> None:
    fail(health, A, 2, now_s=0)
    health.record_success(A, sent_s=0, now_s=0)
    assert fail(health, A, 2, now_s=0) == [False, False]
    assert not health.is_ejected(A)


def test_an_ejected_endpoint_returns_when_its_time_is_over(health: HealthTracker) -> None:
    eject(health, A, now_s=100)
    assert ejected_at(health, A, 109.9)
    assert not ejected_at(health, A, 110)


def test_each_returns_in_its_own_time(health: HealthTracker) -> None:
    eject(health, A, now_s=0)
    eject(health, B, now_s=5)
    assert not ejected_at(health, A, 10)
    assert health.is_ejected(B)
    assert not ejected_at(health, B, 15)


def test_one_failure_after_its_return_ejects_it_again_and_for_longer(
    health: HealthTracker,
) -> None:
    eject(health, A, now_s=0)
    health.refresh(10)
    assert fail(health, A, 1, now_s=10) == [True]
    assert ejected_at(health, A, 29.9)
    assert not ejected_at(health, A, 30)


def test_no_ejection_is_longer_than_the_bound_however_many_there_were(
    health: HealthTracker,
) -> None:
    eject(health, A)
    now_s = 10.0
    for _ in range(2_000):
        health.refresh(now_s)
        assert fail(health, A, 1, now_s) == [True]
        now_s += 35
    assert ejected_at(health, A, now_s - 0.1)
    assert not ejected_at(health, A, now_s)


def test_a_success_after_its_return_makes_the_next_ejection_short_again(
    health: HealthTracker,
) -> None:
    eject(health, A, now_s=0)
    health.refresh(10)
    health.record_success(A, sent_s=10, now_s=10)
    eject(health, A, now_s=10)
    assert not ejected_at(health, A, 20)


def test_a_success_of_an_ejected_endpoint_that_was_asked_all_the_same_ends_the_ejection(
    health: HealthTracker,
) -> None:
    eject(health, A)
    eject(health, B)
    assert health.down == 0b01
    health.record_success(A, sent_s=1, now_s=1)
    assert not health.is_ejected(A)
    assert health.down == 0


def test_an_answer_to_an_attempt_from_before_the_ejection_changes_nothing(
    health: HealthTracker,
) -> None:
    eject(health, A, now_s=5)
    health.record_success(A, sent_s=4.9, now_s=4.9)
    assert health.is_ejected(A)
    health.refresh(15)
    assert fail(health, A, 1, now_s=15) == [True]
    assert ejected_at(health, A, 34.9)


def test_a_model_is_down_only_while_all_its_endpoints_are_ejected(health: HealthTracker) -> None:
    eject(health, A, now_s=0)
    assert health.down == 0
    eject(health, B, now_s=2)
    assert health.down == 0b01
    eject(health, OTHER, now_s=3)
    assert health.down == 0b11
    health.refresh(10)
    assert health.down == 0b10


def test_what_was_sent_before_an_ejection_does_not_bring_another(health: HealthTracker) -> None:
    eject(health, A, now_s=5)
    health.refresh(15)
    assert not health.record_failure(A, sent_s=4.9, now_s=15)
    assert not health.is_ejected(A)
    assert health.record_failure(A, sent_s=15, now_s=16)


def test_what_an_endpoint_says_is_heard_and_its_silence_is_known(health: HealthTracker) -> None:
    assert not health.was_heard(A, since_s=0)
    health.record_poor_answer(A, now_s=3)
    assert health.was_heard(A, since_s=3)
    assert not health.was_heard(A, since_s=3.1)
    health.record_success(A, sent_s=2, now_s=4)
    assert health.was_heard(A, since_s=4)
    assert not health.was_heard(B, since_s=0)


def test_only_good_answers_show_that_an_endpoint_is_well(health: HealthTracker) -> None:
    health.record_poor_answer(A, now_s=3)
    assert not health.has_answered(A, since_s=0)
    health.record_success(A, sent_s=2, now_s=4)
    assert health.has_answered(A, since_s=4)
    assert not health.has_answered(A, since_s=4.1)


@pytest.mark.parametrize(("is_silent", "is_back"), [(True, True), (False, False)])
def test_what_is_heard_after_all_ends_an_ejection_for_silence_alone(
    health: HealthTracker, is_silent: bool, is_back: bool
) -> None:
    for nth in range(3):
        health.record_failure(A, sent_s=nth, now_s=nth + 1, is_silent=is_silent or nth != 1)
    assert health.is_ejected(A)
    health.record_success(A, sent_s=0, now_s=6)
    assert health.is_ejected(A) is not is_back


def test_what_is_told_of_an_endpoint_that_left_changes_nothing(health: HealthTracker) -> None:
    health.track([B])
    assert fail(health, A, 5, now_s=0) == [False] * 5
    health.record_poor_answer(A, now_s=0)
    health.record_success(A, sent_s=0, now_s=0)
    assert health.was_heard(A, since_s=1)
    assert not health.is_ejected(A)
    assert health.down == 0


def test_a_known_endpoint_stays_ejected_when_another_joins_and_a_new_one_starts_well(
    health: HealthTracker,
) -> None:
    eject(health, A)
    eject(health, B)
    joined = (0, "c:1")
    health.track([A, B, joined])
    assert health.is_ejected(A)
    assert not health.is_ejected(joined)
    assert health.down == 0
    health.track([A, B])
    assert health.down == 0b01
    assert not ejected_at(health, A, 10)


def test_an_endpoint_that_left_and_came_back_starts_anew(health: HealthTracker) -> None:
    eject(health, A)
    health.track([B])
    health.track([A, B])
    assert not health.is_ejected(A)


def test_new_bounds_hold_from_now_on(health: HealthTracker) -> None:
    health.tune(HealthConfig(consecutive_failures_max=1, ejection_s=1, ejection_s_max=1))
    assert fail(health, A, 1, now_s=0) == [True]
    assert not ejected_at(health, A, 1)


def test_it_is_known_how_much_longer_an_endpoint_is_out(health: HealthTracker) -> None:
    eject(health, A, now_s=100)
    assert health.ejection_left_s(A, now_s=104) == 6
    assert health.ejection_left_s(A, now_s=111) == 0
    assert health.ejection_left_s(B, now_s=104) == 0
