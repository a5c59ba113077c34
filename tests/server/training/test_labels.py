import pytest

from server.routing.learned_classifier.file_format import LABELS_MAX
from server.training.examples import Example
from server.training.labels import labels_of
from server.training.records import DataInvalid


def test_intents_of_a_domain_stand_side_by_side() -> None:
    found = labels_of([Example("", "b", "x"), Example("", "c", "y"), Example("", "a", "x")])
    assert (found.intents, found.domains, found.outside) == (
        ("a", "b", "c"),
        ("x", "x", "y"),
        False,
    )


def test_what_is_outside_comes_last() -> None:
    examples = [Example("", "", ""), Example("", "", "x"), Example("", "", "y")]
    labels = labels_of(examples)
    assert [labels.number(example) for example in examples] == [2, 0, 1]
    assert labels.total == 3


@pytest.mark.parametrize(
    ("examples", "says"),
    [
        ([Example("", "a", "x"), Example("", "a", "y")], "label 'a' is in two domains"),
        ([Example("", "a", "x"), Example("", "b", "")], "that others lack"),
        ([Example("", "a", "x"), Example("", "", "")], "there are 1 labels: give 2 to 1022"),
        ([Example("", f"i{i}", "x") for i in range(LABELS_MAX)], "there are 1024 labels"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(examples: list[Example], says: str) -> None:
    with pytest.raises(DataInvalid, match=says):
        labels_of(examples)
