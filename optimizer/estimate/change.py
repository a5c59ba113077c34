"""Whether a model answers otherwise than it did: evidence summed over its grades (Page, 1954).

Each grade adds the logarithm of how much likelier it is of a model that is a tenth better, or
worse, than expected. A sum below 0 begins anew, for the change, if there is one, came later; one
that reaches the threshold is an alarm, and what was graded since it was last 0 is of the model as
it is now.
"""

from collections import defaultdict
from collections.abc import Sequence
from math import log
from typing import Any, NamedTuple, Self

from optimizer.estimate.accuracy import Cell, Recent
from optimizer.estimate.decayed import positive, tupled

# One false alarm in some 600,000 grades where estimates are right, in 51,000 where they are two
# points off.
THRESHOLD = 10.0
_STEP = 0.1
# Of fewer grades what is expected is too uncertain to be missed.
GRADES_MIN = 150
# Models that are watched, and cells of one whose newest grades are kept: some 200 bytes each.
MODELS_MAX = 1_000
CELLS_MAX = 1_000
_SURE = 0.02  # nothing is expected to be right, or wrong, more often than all but this


class Change(NamedTuple):
    """A model that answers otherwise than it did, and its grades since."""

    model: str
    expected: float  # of these grades, before
    seen: float
    grades: int
    recent: Recent


class _Sum:
    """Evidence for a change in one direction."""

    def __init__(self, step: float) -> None:
        self._step = step
        self.begin()

    def begin(self) -> None:
        self.evidence = self._expected = 0.0
        self._recent: dict[Cell, list[float]] = {}

    def add(self, cell: Cell, quality: float, expected: float) -> None:
        then = min(max(expected + self._step, _SURE / 2), 1.0 - _SURE / 2)
        self.evidence += quality * log(then / expected)
        self.evidence += (1.0 - quality) * log((1.0 - then) / (1.0 - expected))
        if self.evidence <= 0.0:
            self.begin()
            return
        self._expected += expected
        if cell in self._recent or len(self._recent) < CELLS_MAX:
            sums = self._recent.setdefault(cell, [0.0, 0.0])
            sums[0] += 1.0
            sums[1] += quality

    def change(self, model: str) -> Change:
        grades = sum(n for n, _ in self._recent.values())
        right = sum(r for _, r in self._recent.values())
        recent = {cell: (n, r) for cell, (n, r) in self._recent.items()}
        return Change(model, self._expected / grades, right / grades, round(grades), recent)

    def to_plain(self) -> list[Any]:
        recent = [[cell, *sums] for cell, sums in self._recent.items()]
        return [self.evidence, self._expected, recent]

    def restore(self, plain: Sequence[Any]) -> None:
        evidence, expected, recent = plain
        self.evidence, self._expected = positive(evidence), positive(expected)
        self._recent = {tupled(list(c)): [positive(n), positive(r)] for c, n, r in recent}


class _Watched:
    """One model."""

    def __init__(self) -> None:
        self.grades = 0
        self.sums = _Sum(_STEP), _Sum(-_STEP)


class ChangeWatch:
    """Is told grades, and what was expected of them."""

    def __init__(self) -> None:
        self._models: defaultdict[str, _Watched] = defaultdict(_Watched)

    def observe_grade(
        self, model: str, cell: Cell, quality: float, expected: float
    ) -> Change | None:
        """The change that this grade makes certain, after which the model is watched anew."""
        if model not in self._models and len(self._models) >= MODELS_MAX:
            return None
        watched = self._models[model]
        watched.grades += 1
        if watched.grades <= GRADES_MIN:
            return None
        for one in watched.sums:
            one.add(cell, quality, min(max(expected, _SURE), 1.0 - _SURE))
            if one.evidence >= THRESHOLD:
                self.forget(model)
                return one.change(model)
        return None

    def forget(self, model: str) -> None:
        """It is another model of the same name from now on."""
        self._models.pop(model, None)

    def to_plain(self) -> list[Any]:
        """All that outlives the process, in what JSON has."""
        return [
            [model, one.grades, *(each.to_plain() for each in one.sums)]
            for model, one in self._models.items()
        ]

    @classmethod
    def from_plain(cls, plain: Sequence[Any]) -> Self:
        """Takes up what `to_plain` wrote; raises ValueError, TypeError or LookupError."""
        found = cls()
        for model, grades, *sums in plain[:MODELS_MAX]:
            watched = found._models[str(model)]
            watched.grades = int(grades)
            for one, said in zip(watched.sums, sums, strict=True):
                one.restore(said)
        return found
