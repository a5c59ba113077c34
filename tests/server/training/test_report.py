import pytest

from server.routing.learned_classifier.classifier import Guess
from server.training.examples import Example
from server.training.report import Answer, Bin, Confused, report


def answer(truth: str, guess: str, probability: float) -> Answer:
    return Answer(Example("", "", truth), Guess(guess, probability, "", 0.0))


ANSWERS = [
    answer("law", "law", 0.95),
    answer("law", "law", 0.55),
    answer("law", "math", 0.5),
    answer("math", "math", 0.99),
    answer("", "math", 0.45),
    answer("", "law", 0.97),
]


def test_accuracy_is_of_the_text_inside() -> None:
    found = report(ANSWERS, 0.5)
    assert (found.inside, found.outside) == (4, 2)
    assert (found.domain_accuracy, found.intent_accuracy) == (0.75, None)


def test_what_the_threshold_refuses_is_told_of_both_sides() -> None:
    stored = report(ANSWERS, 0.52).stored
    assert (stored.inside_refused, stored.outside_refused) == (0.25, 0.5)
    assert stored.right == pytest.approx(4 / 6)  # three inside, and the one that was refused


def test_without_text_outside_nothing_is_said_of_it() -> None:
    assert report(ANSWERS[:4], 0.5).stored.outside_refused is None


def test_without_text_inside_nothing_is_said_of_it() -> None:
    found = report(ANSWERS[4:], 0.5)
    assert (found.stored.inside_refused, found.stored.outside_refused) == (None, 0.5)
    assert {refusal.inside_refused for refusal in found.curve} == {None}


def test_probabilities_are_compared_with_what_was_right_in_tenths() -> None:
    found = report(ANSWERS, 0.5)
    assert found.calibration[0] == Bin(0.4, 1, 0.45, 0.0)
    assert found.calibration[1].probability == pytest.approx(0.525)
    assert (found.calibration[1].texts, found.calibration[1].right) == (2, 0.5)
    assert found.calibration_error == pytest.approx((0.45 + 2 * 0.025 + 3 * (0.97 - 2 / 3)) / 6)


def test_the_confused_are_counted_inside() -> None:
    assert report(ANSWERS, 0.5).confused == (Confused("law", "math", 1),)


def test_of_intents_their_own_confusions_are_counted() -> None:
    answers = [Answer(Example("", "pay", "bank"), Guess("bank", 0.9, "owe", 0.8))]
    found = report(answers, 0.5)
    assert (found.domain_accuracy, found.intent_accuracy) == (1.0, 0.0)
    assert found.confused == (Confused("pay", "owe", 1),)
