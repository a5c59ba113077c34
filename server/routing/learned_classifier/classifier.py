"""A linear model of text: each word, pair and part of a word that it knows has a weight a label."""

from collections.abc import Mapping
from itertools import groupby
from math import exp, sqrt
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.config.section import OTHER
from server.routing.learned_classifier.feature_weights import FeatureWeights
from server.routing.learned_classifier.file_format import Contents, Header, dump, load
from server.routing.learned_classifier.words import END_CHARS, PART_CHARS, UNKNOWN_WORDS_MAX

Floats = NDArray[np.float32]

# More rows no text has: both its ends, a word in two characters or one that stands alone in each,
# a pair for each, and the parts of unknown words.
_ROWS_MAX = 4 * (END_CHARS + 2) + UNKNOWN_WORDS_MAX * 2 * len(PART_CHARS)
# A product of more numbers wakes the threads of BLAS, which then spin beside the event loop.
_ONE_THREAD_NUMBERS = 9_000
# Of so few numbers Python's own loops take less time than calls of numpy.
_FEW_LABELS = 32
# The sum of so few exponentials of such scores is a finite number, and none of them is zero.
_SCORE_MAX = 600.0
_TINY = 1e-30  # no probability, and yet no division by zero


class Guess(NamedTuple):
    """What a text is most likely about. The probabilities are told even where they are too low."""

    domain: str  # "other" below the threshold, and where the model knows none
    domain_probability: float
    intent: str  # empty below the threshold, and where the model knows none
    intent_probability: float


class Weighed(NamedTuple):
    """What stands in the text, and by how much it moved the log odds of the domain."""

    words: str
    weight: float


class _Group(NamedTuple):
    """The labels of one domain, side by side."""

    domain: str
    start: int
    end: int


class LearnedClassifier:
    """Replaced whole; each reading of a text is for itself.

    The score of a label is its bias and the sum of the rows that stand in the text, divided by the
    root of the sum of their squared lengths, so that a long text is no louder than a short one. The
    labels after those with names say that the text is about none of them.
    """

    def __init__(self, contents: Contents) -> None:
        header = contents.header
        self._contents = contents
        self._weights = FeatureWeights(contents)
        self._bias = contents.bias
        self._ones = np.ones(_ROWS_MAX, np.float32)
        self._groups = _groups(header)
        self._starts = _starts(self._groups, contents.bias.size)
        few = self._starts is None and contents.bias.size <= _FEW_LABELS
        self._few: list[float] = contents.bias.tolist() if few and _are_mild(contents) else []
        self._all_named = len(self._groups) == contents.bias.size
        self.intents = header.intents
        self.domains = tuple(dict.fromkeys(header.domains))
        self.shares: Mapping[str, float] = header.shares
        self.threshold = header.threshold

    @classmethod
    def from_bytes(cls, data: bytes) -> "LearnedClassifier":
        """Raises ClassifierInvalid for what is no classifier."""
        return cls(load(data))

    def to_bytes(self) -> bytes:
        """The file."""
        return dump(self._contents)

    def classify(self, text: str) -> Guess:
        """The likeliest domain, and in it the likeliest intent. Takes bounded time for any text."""
        if self._few:
            return self._of_few(self._sums(text).tolist())
        odds, of_groups = self._odds(text)
        total = odds.dot(self._ones[: odds.size]).item()
        best = of_groups.argmax()
        domain, start, end = self._groups[best]
        probability = of_groups.item(best) / total
        intent, intent_probability = "", 0.0
        if self.intents:
            at = start + odds[start:end].argmax()
            intent, intent_probability = self.intents[at], odds.item(at) / total
        if probability < self.threshold:
            return Guess(OTHER, probability, "", intent_probability)
        return Guess(domain, probability, intent, intent_probability)

    def explain(self, text: str, *, at_most: int = 8) -> tuple[Weighed, ...]:
        """What weighed most for the likeliest domain or against it, the heaviest first."""
        odds, of_groups = self._odds(text)
        towards = _towards(odds, self._groups[of_groups.argmax()])
        sums = {name: rows.sum(axis=0) for name, rows in self._weights.named(text).items()}
        loudness = _loudness(sum(float(row[-2]) for row in sums.values()))
        weighed = [
            Weighed(name, float(row[:-2] @ towards) * loudness) for name, row in sums.items()
        ]
        heaviest = sorted(filter(itemgetter(1), weighed), key=lambda one: -abs(one.weight))
        return tuple(heaviest[:at_most])

    def scores(self, text: str) -> Floats:
        """(L,) Log odds of the labels, but for what they have in common."""
        sums = self._sums(text)
        sums *= _loudness(sums.item(-2))
        scores: Floats = sums[:-2] + self._bias
        return scores

    def _sums(self, text: str) -> Floats:
        """(L + 2,) Of the rows that stand in the text."""
        rows = self._weights.of(text)
        one_thread = rows.size <= _ONE_THREAD_NUMBERS
        sums: Floats = self._ones[: len(rows)].dot(rows) if one_thread else np.add.reduce(rows)
        return sums

    def _of_few(self, sums: list[float]) -> Guess:
        """The same as for many labels, in half the time where each is a group of its own."""
        loudness = _loudness(sums[-2])
        # B905: the last two sums are of no label, and saying strict=False costs as three labels do.
        odds = [exp(said * loudness + bias) for said, bias in zip(sums, self._few)]  # noqa: B905
        top = max(odds) if self._all_named else max(odds[: len(self._groups)])
        best, probability = odds.index(top), top / sum(odds)
        intent_probability = probability if self.intents else 0.0
        if probability < self.threshold:
            return Guess(OTHER, probability, "", intent_probability)
        intent = self.intents[best] if self.intents else ""
        return Guess(self._groups[best].domain, probability, intent, intent_probability)

    def _odds(self, text: str) -> tuple[Floats, Floats]:
        """Of each label and of each group, the likeliest label's being 1: nothing overflows."""
        scores = self.scores(text)
        scores -= scores[scores.argmax()]
        odds = np.exp(scores)
        of_groups = odds if self._starts is None else np.add.reduceat(odds, self._starts)
        return odds, of_groups[: len(self._groups)]


def _are_mild(contents: Contents) -> bool:
    """Whether no text can have a score beyond the bound, whatever rows stand in it."""
    weights = contents.weights
    steps = np.maximum(weights.max(axis=1), -weights.min(axis=1).astype(np.int16))
    loudest = (steps * np.abs(contents.scales) / np.sqrt(contents.lengths2)).max(initial=0.0)
    # Of R rows none says more than this; their lengths are added up in squares (Cauchy, Schwarz).
    most = loudest * sqrt(_ROWS_MAX) + np.abs(contents.bias).max()
    return bool(most <= _SCORE_MAX)


def _loudness(length2: float) -> float:
    """What the sum of rows is multiplied by; nothing known weighs nothing."""
    return 1 / sqrt(length2) if length2 > 0 else 0.0


def _groups(header: Header) -> tuple[_Group, ...]:
    """Each domain, or each intent where they have none."""
    if not header.domains or not header.intents:
        names = header.domains or (OTHER,) * len(header.intents)
        return tuple(_Group(name, i, i + 1) for i, name in enumerate(names))
    groups, start = [], 0
    for domain, of_it in groupby(header.domains):
        end = start + len(tuple(of_it))
        groups.append(_Group(domain, start, end))
        start = end
    return tuple(groups)


def _starts(groups: tuple[_Group, ...], labels: int) -> list[int] | None:
    """Where to add up probabilities; None where each label is a group of its own."""
    if all(group.end - group.start == 1 for group in groups):
        return None
    named = groups[-1].end
    return [group.start for group in groups] + [named] * (labels > named)


def _towards(odds: Floats, group: _Group) -> Floats:
    """(L,) By how much a label's score moves the log odds of the group."""
    inside = np.zeros(odds.size, bool)
    inside[group.start : group.end] = True
    of_inside, of_rest = odds[inside].sum(), odds[~inside].sum()
    towards: Floats = np.where(inside, odds / max(of_inside, _TINY), -odds / max(of_rest, _TINY))
    return towards
