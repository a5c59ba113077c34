"""Who else is asked, and who answers."""

import numpy as np
import pytest

from optimizer.estimate.chain import LEGS_MAX, Chain, ChainEstimate

MODELS = ("a", "b")


def through(estimate: ChainEstimate, traffic_class: str = "chat", now_s: float = 0.0) -> Chain:
    return estimate.of([traffic_class], MODELS, now_s)[traffic_class]


def failing(requests: int, failed: int, traffic_class: str = "chat") -> ChainEstimate:
    """Requests that began with a, of which b answered those that failed there."""
    estimate = ChainEstimate()
    told(estimate, requests, failed, traffic_class)
    return estimate


def told(estimate: ChainEstimate, requests: int, failed: int, traffic_class: str) -> None:
    estimate.observe_leg(
        (traffic_class, "a", "a"),
        ended=requests,
        attempts=requests,
        answered=requests - failed,
        now_s=0.0,
    )
    estimate.observe_leg(
        (traffic_class, "a", "b"), ended=0, attempts=failed, answered=failed, now_s=0.0
    )


def test_a_model_that_nothing_is_known_of_is_asked_once_and_answers() -> None:
    found = through(ChainEstimate())
    for table in (found.reach, found.answered, found.answers):
        assert table.toarray().tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_requests_are_followed_to_those_who_answered_them() -> None:
    found = through(failing(10_000, 9_000))
    assert found.reach.toarray()[0] == pytest.approx([1.0, 0.9], abs=0.001)
    assert found.answered.toarray()[0] == pytest.approx([0.1, 0.9], abs=0.001)
    assert found.answers.toarray()[0] == pytest.approx([0.1, 0.9], abs=0.001)


def test_those_who_answer_share_what_was_answered_alone() -> None:
    estimate = ChainEstimate()
    leg = ("chat", "a", "a")
    estimate.observe_leg(leg, ended=10_000, attempts=10_000, answered=1_000, now_s=0.0)
    found = through(estimate)
    assert found.answered.toarray()[0] == pytest.approx([0.1, 0.0], abs=0.001)
    assert found.answers.toarray()[0] == pytest.approx([1.0, 0.0])


def test_a_few_failures_are_no_proof() -> None:
    assert through(failing(1, 1)).reach.toarray()[0, 1] < 0.2


def test_a_class_leans_on_all_classes_until_it_speaks_for_itself() -> None:
    estimate = failing(10_000, 5_000, "code")
    assert through(estimate).reach.toarray()[0, 1] == pytest.approx(0.5, abs=0.01)
    told(estimate, 10_000, 0, "chat")
    assert through(estimate).reach.toarray()[0, 1] == pytest.approx(0.0, abs=0.01)


def test_old_failures_fade_so_that_a_model_is_tried_again() -> None:
    found = through(failing(10_000, 10_000), now_s=30 * 120.0)
    assert found.reach.toarray()[0] == pytest.approx([1.0, 0.0], abs=0.01)


def test_a_model_that_is_gone_is_left_out() -> None:
    estimate = failing(100, 50)
    assert estimate.of(["chat"], ["b"], 0.0)["chat"].reach.toarray().tolist() == [[1.0]]


def test_the_leg_told_of_longest_ago_is_forgotten() -> None:
    estimate = failing(10_000, 9_000)
    for n in range(LEGS_MAX):
        estimate.observe_leg((f"c{n}", "z", "z"), ended=1, attempts=1, answered=1, now_s=0.0)
    assert np.array_equal(through(estimate).reach.toarray(), np.eye(2))
