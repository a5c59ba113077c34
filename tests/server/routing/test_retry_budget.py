"""The budget that keeps what is asked again within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from server.routing.retry_budget import (
    ANSWERS_PER_FAILURE,
    BUDGET_MAX,
    ClassBudget,
    RetryBudget,
)

BURST_OF_ALL = BUDGET_MAX // 2
BURST = BURST_OF_ALL // 2


def spent(times: int = BURST) -> ClassBudget:
    budget = ClassBudget(RetryBudget())
    for _ in range(times):
        budget.record_failure()
    return budget


def ask_again(budget: ClassBudget) -> int:
    """How often a class that is never answered is asked again."""
    times = 0
    while not budget.is_spent:
        budget.record_failure()
        times += 1
    return times


def test_a_quarter_of_a_full_bucket_is_what_a_class_may_ask_again_at_once() -> None:
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
    budget = ClassBudget(RetryBudget())
    for _ in range(10_000):
        budget.record_answer()
    assert ask_again(budget) == BURST


def test_no_run_of_failures_takes_more_than_the_budget() -> None:
    budget = spent(10_000)
    for _ in range(BUDGET_MAX * ANSWERS_PER_FAILURE):
        budget.record_answer()
    assert ask_again(budget) == BURST


def test_each_class_that_comes_finds_half_of_what_is_left() -> None:
    of_model = RetryBudget()
    assert [ask_again(ClassBudget(of_model)) for _ in range(4)] == [50, 25, 13, 6]


def test_what_others_answers_gave_back_a_class_may_take_again() -> None:
    of_model = RetryBudget()
    hasty, other = ClassBudget(of_model), ClassBudget(of_model)
    ask_again(hasty)
    for _ in range(BUDGET_MAX * ANSWERS_PER_FAILURE):
        other.record_answer()
    assert ask_again(hasty) == BURST


@given(st.lists(st.booleans(), max_size=2_000))
def test_however_others_are_answered_a_class_that_is_not_leaves_them_as_much_as_it_took(
    answers: list[bool],
) -> None:
    of_model = RetryBudget()
    hasty, other = ClassBudget(of_model), ClassBudget(of_model)
    for is_answered in answers:
        if is_answered:
            other.record_answer()
        elif not hasty.is_spent:
            hasty.record_failure()
    ask_again(hasty)
    assert ask_again(other) >= BURST // 2


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=2_000))
def test_what_is_asked_again_stays_below_a_burst_and_a_part_of_the_answers(
    ends: list[tuple[bool, int]],
) -> None:
    of_model = RetryBudget()
    budgets = [ClassBudget(of_model) for _ in range(3)]
    again, answered = 0, 0
    for is_answered, of_class in ends:
        budget = budgets[of_class]
        if is_answered:
            budget.record_answer()
            answered += 1
        else:
            again += not budget.is_spent
            budget.record_failure()
    assert again <= BURST_OF_ALL + answered / ANSWERS_PER_FAILURE + 1
