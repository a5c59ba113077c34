import os
from pathlib import Path

import pytest

from server.routing.learned_classifier.classifier import LearnedClassifier
from server.training.examples import Columns, Example, read_domains, read_examples
from server.training.records import DataInvalid
from server.training.train import STEPS, THRESHOLD_MAX, Trained, judge, train
from tests.server.training.made import examples


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(examples(60, outside=40), seed=1, refused=0.05)


def test_what_was_learned_serves(trained: Trained) -> None:
    model = LearnedClassifier.from_bytes(trained.to_bytes())
    guess = model.classify("please send money to bob")
    assert (guess.domain, guess.intent) == ("bank", "transfer")
    assert guess.domain_probability > 0.9


def test_what_is_outside_is_other(trained: Trained) -> None:
    model = LearnedClassifier(trained.contents)
    assert model.classify("why is the sky above us blue").domain == "other"


def test_the_report_is_of_all_texts_each_held_out_once(trained: Trained) -> None:
    report = trained.report
    assert (report.inside, report.outside) == (180, 40)
    assert report.intent_accuracy is not None
    assert report.intent_accuracy > 0.95
    assert sum(one.texts for one in report.calibration) == 220


def test_the_threshold_refuses_the_part_that_was_asked_for() -> None:
    """One label in five is wrong: nothing is sure."""
    wrong = [one._replace(intent="balance", domain="bank") for one in examples(12, seed=4)]
    found = train(examples(60) + wrong, seed=1, refused=0.1)
    assert found.report.stored.inside_refused == pytest.approx(0.1, abs=0.01)
    assert found.contents.header.threshold == found.report.stored.threshold < THRESHOLD_MAX


def test_what_is_sure_is_not_refused_where_all_is_easy(trained: Trained) -> None:
    stored = trained.report.stored
    assert stored.threshold == THRESHOLD_MAX
    assert stored.inside_refused is not None
    assert stored.inside_refused < 0.05


def test_shares_are_of_what_the_classifier_sees_in_such_text(trained: Trained) -> None:
    shares = trained.contents.header.shares
    assert set(shares) == {"bank", "travel", "other"}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["bank"] > shares["travel"]


def test_the_same_seed_makes_the_same_file(trained: Trained) -> None:
    again = train(examples(60, outside=40), seed=1, refused=0.05)
    assert again.to_bytes() == trained.to_bytes()


def test_a_report_on_other_text_is_of_that_text(trained: Trained) -> None:
    report = judge(trained.contents, examples(10, seed=2, outside=5))
    assert (report.inside, report.outside) == (30, 5)
    assert report.stored.threshold == trained.contents.header.threshold


def test_equal_texts_are_never_on_both_sides() -> None:
    """A label that only repeats one text is never recognised where it was held out."""
    repeated = [Example("the same words each time", "same", "odd")] * 30
    report = train(examples(30) + repeated, seed=1, refused=0.05).report
    assert sum(one.texts for one in report.confused if one.truth == "same") == 30


def test_each_step_is_told() -> None:
    steps: list[None] = []
    train(examples(20), seed=1, refused=0.05, on_step=lambda: steps.append(None))
    assert len(steps) == STEPS


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(DataInvalid, match="3 examples are too few to judge by"):
        train(examples(1), seed=1, refused=0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif("TURNOUT_DATA" not in os.environ, reason="needs TURNOUT_DATA: recorded data")
def test_short_requests_are_read_as_well_as_was_promised() -> None:
    folder = Path(os.environ["TURNOUT_DATA"]) / "intents"
    domain_of = read_domains(folder / "clinc150/domains.csv")
    found = train(
        read_examples(folder / "clinc150/train.csv.gz", Columns(), domain_of), seed=0, refused=0.05
    )
    report = judge(
        found.contents, read_examples(folder / "clinc150/test.csv.gz", Columns(), domain_of)
    )
    at_5_percent = next(one for one in report.curve if 0.045 < (one.inside_refused or 0) < 0.055)
    assert report.intent_accuracy is not None
    assert report.intent_accuracy >= 0.92
    assert report.domain_accuracy is not None
    assert report.domain_accuracy >= 0.965
    assert at_5_percent.outside_refused is not None
    assert at_5_percent.outside_refused >= 0.60


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif("TURNOUT_DATA" not in os.environ, reason="needs TURNOUT_DATA: recorded data")
def test_subjects_of_exam_questions_are_read_as_well_as_was_promised() -> None:
    file = Path(os.environ["TURNOUT_DATA"]) / "outcomes/mmlu_pro/queries.csv.gz"
    report = train(read_examples(file, Columns()), seed=0, refused=0.05).report
    assert report.stored.right >= 0.75
