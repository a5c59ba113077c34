from collections.abc import Sequence

import pytest

from server.control.comparison import LABELLED_MIN, REQUESTS_MIN, compare
from server.control.kept_requests import KeptRequest
from server.routing.learned_classifier.classifier import LearnedClassifier
from tests.server.routing.learned_classifier.made import contents


def model(**words: Sequence[float]) -> LearnedClassifier:
    return LearnedClassifier(contents(words=words, threshold=0.6))


LAW, MATH = (3.0, -3.0), (-3.0, 3.0)
GOOD = model(court=LAW, prime=MATH)
BLIND = model(court=LAW)
WRONG = model(court=LAW, prime=LAW)


def kept(text: str, truth: str = "") -> KeptRequest:
    return KeptRequest(text, "", "", true_domain=truth)


def test_equals_agree_and_neither_is_worse() -> None:
    found = compare(GOOD, GOOD, [kept("court"), kept("prime", "math")])
    assert (found.requests, found.same_domain, found.labelled) == (2, 1.0, 1)
    assert (found.right_before, found.right_after, found.worse) == (1.0, 1.0, "")


def test_without_requests_nothing_is_said() -> None:
    found = compare(GOOD, WRONG, [])
    assert (found.requests, found.same_domain, found.worse) == (0, 0.0, "")


def test_one_that_is_wrong_where_the_other_was_right_is_worse() -> None:
    found = compare(GOOD, WRONG, [kept("prime", "math")] * 10 + [kept("court", "law")] * 30)
    assert found.worse == "of 40 labelled requests it gets 10 wrong that were right, and 0 right"
    assert (found.right_before, found.right_after) == (1.0, 0.75)


def test_labels_are_read_as_training_reads_them() -> None:
    requests = [kept("prime", "Math!"), kept("sea", "Other"), kept("sea", "oos"), kept("sea", "?")]
    found = compare(GOOD, GOOD, requests)
    assert (found.labelled, found.right_before) == (3, 1.0)


def test_the_other_way_round_it_is_better() -> None:
    requests = [kept("prime", "math")] * 10 + [kept("court", "law")] * 30
    assert compare(WRONG, GOOD, requests).worse == ""


def test_few_labels_say_nothing() -> None:
    assert compare(GOOD, WRONG, [kept("prime", "math")] * (LABELLED_MIN - 1)).worse == ""


def test_a_difference_of_chance_is_none() -> None:
    requests = [kept("prime", "math")] * 3 + [kept("court", "law")] * 60
    assert compare(GOOD, WRONG, requests).worse == ""


def test_without_labels_much_more_that_is_other_is_worse() -> None:
    requests = [kept("prime")] * 50 + [kept("court")] * (REQUESTS_MIN - 50)
    found = compare(GOOD, BLIND, requests)
    assert found.worse == "it puts 25% of 200 requests in other, where it was 0%"
    assert found.same_domain == pytest.approx(0.75)


def test_of_few_requests_more_that_is_other_says_nothing() -> None:
    assert compare(GOOD, BLIND, [kept("prime")] * (REQUESTS_MIN - 1)).worse == ""
