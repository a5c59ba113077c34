"""The benchmarks of the learned classifier, on a little data."""

import csv
import gzip
import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks import learned
from benchmarks.predicted_domains import Curve, compare
from benchmarks.recorded import read_recorded
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.training.train import train
from tests.server.training.made import examples

MODELS = ("cheap", "dear")
QUESTIONS = 240


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The cheap model is good at banking alone; who knows the domain pays less."""
    chance = random.Random(1)
    questions = examples(QUESTIONS // 3, seed=5)
    with gzip.open(tmp_path / "queries.csv.gz", "wt", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("query_id", "prompt", "subject"))
        rows.writerows((i, one.text, one.domain) for i, one in enumerate(questions))
    with gzip.open(tmp_path / "outcomes.csv.gz", "wt", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("query_id", "model", "score", "cost_usd"))
        for i, one in enumerate(questions):
            right = 0.9 if one.domain == "bank" else 0.1
            rows.writerow((i, "cheap", float(chance.random() < right), 1e-6))
            rows.writerow((i, "dear", "" if chance.random() > 0.9 else 1, 1e-4))
    return tmp_path


def test_recorded_outcomes_are_read(folder: Path) -> None:
    found = read_recorded(folder)
    assert found.models == MODELS
    assert found.score.shape == found.cost_nano_usd.shape == (QUESTIONS, 2)
    assert found.cost_nano_usd[0] == pytest.approx([1_000, 100_000])
    assert 0.8 < found.score[:, 1].mean() < 1  # a blank is 0


def test_domains_that_are_easy_to_predict_cost_as_much_as_true_ones(folder: Path) -> None:
    (found,) = compare(read_recorded(folder), splits=1, accuracies=(0.65,))
    assert found.right > 0.9
    assert found.ratio == pytest.approx(1, abs=0.15)
    assert found.blind_ratio > found.ratio


def test_an_accuracy_that_no_plan_reaches_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"no plan reaches an accuracy of 0\.99"):
        compare(read_recorded(folder), splits=1, accuracies=(0.99,))


def test_the_cost_between_two_plans_is_between_theirs() -> None:
    curve = Curve(np.array([0.7, 0.5, 0.6]), np.array([30.0, 10.0, 20.0]))
    assert curve.cost_at(0.65) == pytest.approx(25)
    assert np.isnan(curve.cost_at(0.8))


def test_the_cost_of_a_request_is_a_ratio_to_scikit_learn() -> None:
    texts = examples(20)
    model = LearnedClassifier(train(texts, seed=1, refused=0.05).contents)
    row = learned.cost(model, texts, texts, rounds=2, calls=20)
    assert row.floor == "TF-IDF and LinearSVC"
    assert row.subject_us > 0
