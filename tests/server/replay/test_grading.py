"""Who grades, and what they get wrong."""

from random import Random

import pytest

from server.replay.grading import Grading


def grades(grading: Grading, score: float) -> list[float | None]:
    chance = Random(1)
    return [grading.grade(score, chance) for _ in range(4_000)]


def test_every_answer_is_graded_as_it_was_recorded() -> None:
    assert set(grades(Grading(), 0.25)) == {0.25}


def test_a_part_of_the_answers_is_graded() -> None:
    found = grades(Grading(answered=0.1), 1.0)
    assert sum(grade is not None for grade in found) / len(found) == pytest.approx(0.1, abs=0.02)


def test_wrong_answers_pass_as_right_and_right_ones_stay_so() -> None:
    found = grades(Grading(wrong_passed=0.3), 0.0)
    assert found.count(1.0) / len(found) == pytest.approx(0.3, abs=0.03)
    assert set(grades(Grading(wrong_passed=0.3), 1.0)) == {1.0}


def test_wrong_answers_go_unreported_and_right_ones_do_not() -> None:
    found = grades(Grading(wrong_unreported=2 / 3), 0.0)
    assert found.count(None) / len(found) == pytest.approx(2 / 3, abs=0.03)
    assert None not in grades(Grading(wrong_unreported=2 / 3), 1.0)


def test_what_becomes_of_one_answer_changes_no_later_chance() -> None:
    right, wrong = Random(5), Random(5)
    grading = Grading(answered=0.5, wrong_passed=0.5, wrong_unreported=0.5)
    for _ in range(20):
        grading.grade(1.0, right)
        grading.grade(0.0, wrong)
    assert right.random() == wrong.random()
