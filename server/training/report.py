"""What a classifier is worth, on text that it did not learn from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.routing.learned_classifier.classifier import Guess
from server.training.examples import Example

CONFUSED_SHOWN = 10
# What part of the text inside may be refused, for the curve.
REFUSED = (0.01, 0.02, 0.05, 0.1, 0.2)
_BINS = 10

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Answer(NamedTuple):
    """A text and what was made of it, however doubtful."""

    example: Example
    guess: Guess


class _Judged(NamedTuple):
    """Of each text: the likeliest's probability, whether it is about something known, and right."""

    probability: Floats
    inside: Flags
    right: Flags


@dataclass(frozen=True, slots=True)
class Confused:
    """Texts of one label that were taken for another; "" is outside."""

    truth: str
    guess: str
    texts: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Texts whose domain, or intent where there are none, had a probability in this tenth."""

    probability_from: float
    texts: int
    probability: float  # their mean
    right: float  # the part of them that was right


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a threshold does."""

    threshold: float
    inside_refused: float | None  # of the text that is about something known; None without any
    outside_refused: float | None  # of the text that is not; None without any
    right: float  # of all text: put where it belongs, outside or in the right domain or intent


@dataclass(frozen=True, slots=True)
class Report:
    """Fractions of texts; accuracy is of the text inside, none of it refused."""

    inside: int
    outside: int
    intent_accuracy: float | None
    domain_accuracy: float | None
    calibration_error: float  # mean distance of probability and truth over the bins
    calibration: tuple[Bin, ...]
    stored: Refusal
    curve: tuple[Refusal, ...]
    confused: tuple[Confused, ...]


def report(answers: Sequence[Answer], threshold: float) -> Report:
    """Of answers that no threshold has touched."""
    inside = [answer for answer in answers if not answer.example.outside]
    probabilities = np.array([answer.guess.domain_probability for answer in answers])
    is_inside = np.array([not answer.example.outside for answer in answers])
    right = np.array([_right(answer) for answer in answers])
    judged = _Judged(probabilities, is_inside, right)
    bins = tuple(_bins(judged))
    return Report(
        inside=len(inside),
        outside=len(answers) - len(inside),
        intent_accuracy=_accuracy([(a.example.intent, a.guess.intent) for a in inside]),
        domain_accuracy=_accuracy([(a.example.domain, a.guess.domain) for a in inside]),
        calibration_error=sum(b.texts * abs(b.probability - b.right) for b in bins) / len(answers),
        calibration=bins,
        stored=_refusal(threshold, judged),
        curve=tuple(
            _refusal(threshold_for(part, probabilities[is_inside]), judged) for part in REFUSED
        ),
        confused=_confused(inside),
    )


def threshold_for(refused: float, of_inside: Floats) -> float:
    """The probability below which this part of the text inside lies."""
    return float(np.quantile(of_inside, refused)) if len(of_inside) else 0.0


def _accuracy(pairs: Sequence[tuple[str, str]]) -> float | None:
    if not any(truth for truth, _ in pairs):
        return None
    return sum(truth == guess for truth, guess in pairs) / len(pairs)


def _right(answer: Answer) -> bool:
    example, guess = answer
    if example.outside:
        return False
    return example.domain == guess.domain if example.domain else example.intent == guess.intent


def _bins(judged: _Judged) -> list[Bin]:
    probability, _, right = judged
    tenth = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    return [
        Bin(i / _BINS, int(of.sum()), float(probability[of].mean()), float(right[of].mean()))
        for i in range(_BINS)
        if (of := tenth == i).any()
    ]


def _refusal(threshold: float, judged: _Judged) -> Refusal:
    probability, inside, right = judged
    refused = probability < threshold
    placed = np.where(inside, right & ~refused, refused)
    of_inside, of_outside = _part(refused[inside]), _part(refused[~inside])
    return Refusal(threshold, of_inside, of_outside, float(placed.mean()))


def _part(flags: Flags) -> float | None:
    return float(flags.mean()) if flags.size else None


def _confused(inside: Sequence[Answer]) -> tuple[Confused, ...]:
    counts = Counter(
        (example.intent or example.domain, guess.intent if example.intent else guess.domain)
        for example, guess in inside
    )
    wrong = [Confused(*pair, texts) for pair, texts in counts.most_common() if pair[0] != pair[1]]
    return tuple(wrong[:CONFUSED_SHOWN])
