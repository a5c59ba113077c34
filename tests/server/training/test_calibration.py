import numpy as np
import pytest

from server.training.calibration import EXAMPLES_MAX, Calibration, calibrate, probabilities


def test_scores_that_are_log_odds_already_are_left_as_they_are() -> None:
    chance = np.random.default_rng(1)
    scores = chance.normal(size=(EXAMPLES_MAX, 3))
    odds = np.exp(scores)
    cumulated = (odds / odds.sum(axis=1, keepdims=True)).cumsum(axis=1)
    labels = (chance.random((EXAMPLES_MAX, 1)) > cumulated).sum(axis=1)
    found = calibrate(scores, labels, 3)
    assert found.slope == pytest.approx(1, abs=0.1)
    assert np.exp(found.none) < 0.05


def test_probabilities_of_a_text_add_up_to_one() -> None:
    scores = np.array([[1.0, -1.0, 0.5], [300.0, 0.0, -300.0]])
    found = probabilities(scores, Calibration(3, 1, -2), 2)
    assert found.shape == (2, 4)
    assert found.sum(axis=1) == pytest.approx(1)


def test_text_outside_teaches_what_none_is_worth() -> None:
    scores = np.array([[2.0, -2.0, -1.0], [-2.0, 2.0, -1.0], [-0.5, -0.6, -0.7]] * 50)
    found = calibrate(scores, np.array([0, 1, 2] * 50), 2)
    right = probabilities(scores[:3], found, 2)
    assert right[2, 2:].sum() > 0.9 < right[0, 0]
