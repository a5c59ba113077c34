"""The budget that keeps what is asked again within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from server.routing.retry_budget import (
    ANSWERS_PER_FAILURE,
    BUDGET_MAX,
    RetryBudget,
)

BURST = BUDGET_MAX // 2


def spent(times: int = BURST) -> RetryBudget:
    budget = RetryBudget()
    for _ in range(times):
        budget.record_failure()
    return budget


def test_half_of_a_full_bucket_is_what_may_be_asked_again_at_once() -> None:
    assert not spent(BURST - 1).is_spent
    assert spent(BURST).is_spent


def test_some_answers_bring_what_one_more_takes() -> None:
    budget = spent()
    for _ in range(3):
        budget.record_answer()
        assert not budget.is_spent
        budget.record_failure()
        for _ in range(ANSWERS_PER_FAILURE - 1):
            assert budget.is_spent
            budget.record_answer()
        assert budget.is_spent


def test_no_run_of_answers_gives_back_more_than_the_budget() -> None:
    budget = RetryBudget()
    for _ in range(10_000):
        budget.record_answer()
    for _ in range(BURST):
        budget.record_failure()
    assert budget.is_spent


def test_no_run_of_failures_takes_more_than_the_budget() -> None:
    budget = spent(10_000)
    for _ in range(BURST * ANSWERS_PER_FAILURE + 1):
        budget.record_answer()
    assert not budget.is_spent


@given(st.lists(st.booleans(), max_size=2_000))
def test_what_is_asked_again_stays_below_a_burst_and_a_part_of_the_answers(
    answers: list[bool],
) -> None:
    budget, again, answered = RetryBudget(), 0, 0
    for is_answered in answers:
        if is_answered:
            budget.record_answer()
            answered += 1
        else:
            again += not budget.is_spent
            budget.record_failure()
    assert again <= BURST + answered / ANSWERS_PER_FAILURE + 1
