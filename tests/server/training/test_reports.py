from pathlib import Path

import pytest

from server.control.kept_requests import KeptRequests
from server.training.examples import Example
from server.training.records import DataInvalid
from server.training.reports import reported_examples


def keep(folder: Path, *reports: tuple[str, str, str]) -> None:
    """Texts with the domain and intent that were reported."""
    kept = KeptRequests(folder, 100)
    for number, (text, domain, intent) in enumerate(reports):
        kept.add(id=str(number), text=text, domain="other", intent="")
        kept.add(id=str(number), true_domain=domain, true_intent=intent)
    kept.write()


def test_texts_with_a_reported_label_are_examples(tmp_path: Path) -> None:
    keep(tmp_path, ("is it legal", "Civil Law", ""), ("two plus two", "math", ""), ("hi", "", ""))
    assert reported_examples(tmp_path, []) == [
        Example("is it legal", "", "civil-law"),
        Example("two plus two", "", "math"),
    ]


def test_other_and_oos_are_outside(tmp_path: Path) -> None:
    keep(tmp_path, ("a joke", "other", ""), ("a song", "", "oos"), ("how much", "math", ""))
    outside = [example.outside for example in reported_examples(tmp_path, [])]
    assert outside == [True, True, False]


def test_the_domain_of_an_intent_is_that_of_the_examples_beside(tmp_path: Path) -> None:
    keep(tmp_path, ("send money", "", "transfer"))
    beside = [Example("pay", "transfer", "bank")]
    assert reported_examples(tmp_path, beside) == [Example("send money", "transfer", "bank")]


def test_what_is_labelled_less_than_the_examples_beside_is_left_out(tmp_path: Path) -> None:
    keep(tmp_path, ("send money", "bank", ""), ("a joke", "other", ""))
    beside = [Example("pay", "transfer", "bank")]
    assert reported_examples(tmp_path, beside) == [Example("a joke", "", "")]


def test_without_reports_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"classifier\.keep_requests"):
        reported_examples(tmp_path, [])
