"""The questions of `make chat`: what is measured by them is not what is asked."""

import pytest

from benchmarks.chat.models import BARE, EXAMPLES, TAUGHT, cost_nano_usd, template_of
from benchmarks.chat.questions import Question, questions


def test_no_question_is_both_measured_and_asked_or_a_worked_example() -> None:
    found = questions()
    texts = [one.text for one in (*found.measured, *found.asked)]
    assert len(texts) == len(set(texts)) == 120
    assert not [text for text in texts if text in template_of(TAUGHT)]


def test_the_questions_are_the_same_each_time() -> None:
    assert questions() == questions()


@pytest.mark.parametrize(
    ("words", "is_right"),
    [
        ("The capital of Italy is Rome.", True),
        ("Rome", True),
        ("The capital of Italy is Romeo.", False),
        ("The capital of Italy is Milan.", False),
        ("", False),
    ],
)
def test_an_answer_is_right_where_it_says_the_word(words: str, is_right: bool) -> None:
    question = Question("What is the capital of Italy?", "Rome")
    assert question.is_answered_by(words) is is_right


@pytest.mark.parametrize("question", questions().measured + questions().asked)
def test_no_question_holds_its_answer(question: Question) -> None:
    assert not question.is_answered_by(question.text)


def test_only_models_with_examples_have_a_template_of_their_own() -> None:
    assert template_of(BARE) == ""
    assert template_of(TAUGHT).count("<|im_start|>assistant\n") == EXAMPLES[TAUGHT]


def test_a_token_costs_what_the_configuration_says() -> None:
    # A tenth of a dollar for a million that are read, two for as many that are written.
    assert cost_nano_usd(1_000_000, 0) == 100_000_000
    assert cost_nano_usd(0, 1_000_000) == 200_000_000
