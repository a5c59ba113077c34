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
        kept.add(str(number), text, domain="other", intent="")
        kept.report(str(number), domain=domain, intent=intent)
    kept.writing()()


def test_texts_with_a_reported_label_are_examples(tmp_path: Path) -> None:
    keep(tmp_path, ("is it legal", "Civil Law", ""), ("two plus two", "math", ""), ("hi", "", ""))
    examples = [Example("is it legal", "", "civil-law"), Example("two plus two", "", "math")]
    assert reported_examples(tmp_path, []) == (examples, 0)


def test_other_and_oos_are_outside(tmp_path: Path) -> None:
    keep(tmp_path, ("a joke", "other", ""), ("a song", "", "oos"), ("how much", "math", ""))
    outside = [example.outside for example in reported_examples(tmp_path, []).examples]
    assert outside == [True, True, False]


def test_other_is_outside_however_it_is_written(tmp_path: Path) -> None:
    keep(tmp_path, ("a joke", "Other", ""), ("a song", "", "OOS"), ("a poem", "other!", ""))
    assert [example.outside for example in reported_examples(tmp_path, []).examples] == [True] * 3


def test_what_names_nothing_is_left_out(tmp_path: Path) -> None:
    keep(tmp_path, ("hm", "???", ""), ("how much", "math", ""))
    assert reported_examples(tmp_path, []) == ([Example("how much", "", "math")], 1)
    keep(tmp_path, ("hm", "", "a\x00b"), ("how much", "", "price"))
    beside = [Example("what is it", "price", "")]
    assert reported_examples(tmp_path, beside).examples == [Example("how much", "price", "")]


def test_an_intent_in_two_domains_is_left_out(tmp_path: Path) -> None:
    keep(tmp_path, ("a", "bank", "pay"), ("b", "shop", "pay"), ("c", "bank", "owe"))
    assert reported_examples(tmp_path, []) == ([Example("c", "owe", "bank")], 2)


def test_what_is_labelled_more_fully_than_the_examples_beside_is_left_out(tmp_path: Path) -> None:
    keep(tmp_path, ("send money", "bank", "transfer"))
    assert reported_examples(tmp_path, [Example("hi", "greet", "")]) == ([], 1)


def test_the_domain_of_an_intent_is_that_of_the_examples_beside(tmp_path: Path) -> None:
    keep(tmp_path, ("send money", "", "transfer"))
    beside = [Example("pay", "transfer", "bank")]
    found = reported_examples(tmp_path, beside)
    assert found.examples == [Example("send money", "transfer", "bank")]


def test_what_is_labelled_less_than_the_examples_beside_is_left_out(tmp_path: Path) -> None:
    keep(tmp_path, ("send money", "bank", ""), ("a joke", "other", ""))
    beside = [Example("pay", "transfer", "bank")]
    assert reported_examples(tmp_path, beside) == ([Example("a joke", "", "")], 1)


def test_without_reports_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"classifier\.keep_requests"):
        reported_examples(tmp_path, [])
