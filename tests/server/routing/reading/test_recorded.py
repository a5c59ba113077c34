"""How often structure and language are told rightly, on recorded requests that nobody wrote for us.

Half of them were looked at while the markers were chosen; these are the other half.
"""

import csv
import gzip
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from server.routing.reading.language import writing_of
from server.routing.reading.structure import Structures

pytestmark = pytest.mark.skipif(
    "TURNOUT_DATA" not in os.environ, reason="needs recorded requests: set TURNOUT_DATA"
)

CODE = ("mbpp", "human_eval")
MATHEMATICS = ("gsm8k", "math", "agentverse-mgsm")
NEITHER = ("trivia_qa", "natural_qa", "commonsense_qa", "openbook_qa", "arc_challenge")


@pytest.fixture(scope="module")
def tasks() -> Mapping[str, Sequence[str]]:
    return _texts("outcomes/llmrouter_mix/queries.csv.gz", "prompt", "dataset")


@pytest.fixture(scope="module")
def remarks() -> Sequence[str]:
    found = _texts("intents/clinc150/test.csv.gz", "text", "label")
    return [text for texts in found.values() for text in texts]


@pytest.mark.parametrize(
    ("name", "sets", "least"),
    [
        ("code", CODE, 0.99),
        ("mathematics", MATHEMATICS, 0.85),
        ("question", ("trivia_qa", "natural_qa", "gsm8k", "commonsense_qa"), 0.95),
        ("instruction", ("mbpp",), 0.99),
    ],
)
def test_what_tasks_are_made_of_is_found(
    tasks: Mapping[str, Sequence[str]], name: str, sets: Sequence[str], least: float
) -> None:
    texts = [text for each in sets for text in tasks[each]]
    assert _share(name, texts) >= least


@pytest.mark.parametrize(
    ("name", "sets", "most"),
    [
        ("code", NEITHER, 0.005),
        ("mathematics", NEITHER, 0.015),
        ("mathematics", ("mbpp",), 0.01),
        ("json", NEITHER, 0.0),
        ("table", NEITHER, 0.0),
        ("question", ("mbpp", "commongen"), 0.01),
        ("instruction", ("natural_qa", "trivia_qa"), 0.02),
    ],
)
def test_what_tasks_are_not_made_of_is_seldom_found(
    tasks: Mapping[str, Sequence[str]], name: str, sets: Sequence[str], most: float
) -> None:
    texts = [text for each in sets for text in tasks[each]]
    assert _share(name, texts) <= most


def test_short_english_remarks_are_english_or_unclear(remarks: Sequence[str]) -> None:
    languages = [writing_of(text).language for text in remarks]
    assert languages.count("en") / len(languages) >= 0.95
    assert (languages.count("en") + languages.count("")) / len(languages) >= 0.999


def _share(name: str, texts: Sequence[str]) -> float:
    structures = Structures()
    return sum(name in structures.of(text).names for text in texts) / len(texts)


def _texts(path: str, text: str, kind: str) -> dict[str, list[str]]:
    """Every second one."""
    found: dict[str, list[str]] = {}
    with gzip.open(Path(os.environ["TURNOUT_DATA"]) / path, "rt", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            if number % 2:
                found.setdefault(row[kind], []).append(row[text])
    return found
