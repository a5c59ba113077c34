"""Trains a classifier, and judges it on text that it did not learn from."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from server.config.section import OTHER
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.learned_classifier.file_format import Contents, dump
from server.training.calibration import Calibration, calibrate
from server.training.examples import Example
from server.training.fit import calibrated, fit
from server.training.labels import LABELS_MIN, Labels, labels_of
from server.training.records import DataInvalid
from server.training.report import Answer, Report, report, threshold_for

# Each text is judged by the one of so many classifiers that never saw it.
FOLDS = 5
STEPS = FOLDS + 1
# Where all that is known is told apart with ease, a text that is likely in it is not refused.
THRESHOLD_MAX = 0.9


class Trained(NamedTuple):
    """A classifier, and what those like it made of text that was new to them."""

    contents: Contents
    report: Report
    held_out: list[Answer]  # to each example, in another order; no threshold has touched them

    def to_bytes(self) -> bytes:
        """The classifier's file."""
        return dump(self.contents)


class _Fold(NamedTuple):
    """A part of the examples, and a classifier of the others."""

    examples: list[Example]
    contents: Contents


def train(
    examples: Sequence[Example],
    *,
    seed: int,
    refused: float,
    on_step: Callable[[], None] = lambda: None,
) -> Trained:
    """Learns from all; refuses this part of the text inside. Raises DataInvalid."""
    labels = labels_of(examples)
    folds = []
    for fold in _folds(examples, labels, seed):
        folds.append(fold)
        on_step()
    calibration = _calibration(folds, labels)
    answers = [
        answer
        for held_out, contents in folds
        for answer in answers_of(calibrated(contents, calibration), held_out)
    ]
    inside = [a.guess.domain_probability for a in answers if not a.example.outside]
    threshold = min(threshold_for(refused, np.array(inside)), THRESHOLD_MAX)
    contents = calibrated(fit(examples, labels, seed=seed), calibration)
    on_step()
    told = {"threshold": threshold, "shares": _shares(answers, threshold)}
    contents = replace(contents, header=contents.header.model_copy(update=told))
    return Trained(contents, report(answers, threshold), answers)


def answers_of(contents: Contents, examples: Sequence[Example]) -> list[Answer]:
    """What it makes of each, however doubtful."""
    header = contents.header.model_copy(update={"threshold": 0.0})
    model = LearnedClassifier(replace(contents, header=header))
    return [Answer(example, model.classify(example.text)) for example in examples]


def judge(contents: Contents, examples: Sequence[Example]) -> Report:
    """What a classifier is worth on examples that it did not learn from."""
    return report(answers_of(contents, examples), contents.header.threshold)


def _folds(examples: Sequence[Example], labels: Labels, seed: int) -> Iterator[_Fold]:
    numbers = [_fold_number(example.text, seed) for example in examples]
    for fold in range(FOLDS):
        held_out = [one for one, number in zip(examples, numbers, strict=True) if number == fold]
        others = [one for one, number in zip(examples, numbers, strict=True) if number != fold]
        if len({labels.number(one) for one in others}) < LABELS_MIN or not held_out:
            raise DataInvalid(
                f"{len(examples)} examples are too few to judge by: give several of each label"
            )
        yield _Fold(held_out, fit(others, labels, seed=seed))


def _fold_number(text: str, seed: int) -> int:
    """By the text: equal texts are never on both sides."""
    digest = hashlib.sha256(f"{seed}\0{text.strip().lower()}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % FOLDS


def _calibration(folds: Sequence[_Fold], labels: Labels) -> Calibration:
    scores, numbers = [], []
    for held_out, contents in folds:
        model = LearnedClassifier(contents)
        scores += [model.scores(example.text) for example in held_out]
        numbers += [labels.number(example) for example in held_out]
    return calibrate(np.array(scores, float), np.array(numbers), labels.named)


def _shares(answers: Sequence[Answer], threshold: float) -> dict[str, float]:
    """The mix that the classifier itself sees in text like that it learned from."""
    counts = Counter(
        OTHER if guess.domain_probability < threshold else guess.domain for _, guess in answers
    )
    return {domain: count / len(answers) for domain, count in sorted(counts.items())}
