"""Accuracy of every model in every cell, from the grades of the audit sample."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite, sqrt
from typing import Any, NamedTuple, Self

import numpy as np

from optimizer.estimate.decayed import DecayedSums, Key, positive
from optimizer.estimate.effects import Observed, Priors, Spreads, fit, graded_variance
from optimizer.estimate.posterior import Posterior
from optimizer.problem import Floats

Cell = tuple[str, str, *tuple[str, ...]]  # class, payer; domain, size bucket, kind of payload
Recent = Mapping[Cell, tuple[float, float]]  # by cell, how many grades and how many of them right

# Pairs of a cell and a model; at 400 bytes each they take 20 MB. Grades are scarce, and what was
# graded longest ago says least.
PAIRS_MAX = 50_000
# Models, and classes with their payers, whose realised accuracy is shown.
SHOWN_MAX = 10_000

_Z = 1.96  # 95 % of a normal distribution is this many standard deviations around its mean
# A prior of which nobody says how many grades it rests on is worth this many where it is shown.
_GUESS_GRADES = 20.0
# By so much what is believed of a model that has changed is in doubt beside what it was.
_WIDENED = 0.15
# A new version is like its elder as far as this many grades would say it.
_INHERITED_GRADES = 30.0
# Ends the name of a model as it was before it changed; no name of a configuration has it.
_GONE = "\0"
_GRADES_MIN = 1e-6  # what decay has left of older grades, below which they say nothing


class Estimate(NamedTuple):
    """A mean with its 95 % bounds and the number of grades of equal weight that it rests on."""

    mean: float
    low: float
    high: float
    grades: float


class Prior(NamedTuple):
    """What is believed of a model before any grade."""

    accuracy: float = 0.5
    grades: float | None = None  # that it rests on; None: a guess

    @property
    def shown_grades(self) -> float:
        """How many grades it is worth where a model is shown."""
        return _GUESS_GRADES if self.grades is None else self.grades


_UNKNOWN = Prior()


class AccuracyEstimate:
    """Learns from grades; each pair leans on the other grades of its cell and of its model."""

    def __init__(self, priors: Mapping[str, Prior], *, half_life_s: float = 6 * 3600.0) -> None:
        self._half_life_s = half_life_s
        self._priors = dict(priors)
        # When each prior was first believed: what it rests on grows old as grades do.
        self._since_s: dict[str, float] = {}
        self._widened: dict[str, float] = {}  # models that have changed: by what standard deviation
        self._pairs = DecayedSums[tuple[Cell, str]](3, half_life_s=half_life_s, keys_max=PAIRS_MAX)
        self._models = DecayedSums[str](3, half_life_s=half_life_s, keys_max=SHOWN_MAX)
        self._groups = DecayedSums[tuple[str, str]](3, half_life_s=half_life_s, keys_max=SHOWN_MAX)
        self._spreads = Spreads()

    def set_prior(self, model: str, prior: Prior) -> None:
        """Sets what is believed of a model; grades so far go on counting."""
        if self._priors.get(model) != prior:
            self._priors[model] = prior
            self._since_s.pop(model, None)

    def record_grade(
        self, cell: Cell, model: str, quality: float, weight: float, now_s: float
    ) -> None:
        """Counts a grade; quality: 0 to 1; weight: 1 / the probability that it was audited.

        Within a cell nobody chose which requests a model was graded on, so all count alike there.
        """
        sums = _sums(quality, weight)
        self._pairs.add((cell, model), _sums(quality, 1.0), now_s)
        self._models.add(model, sums, now_s)
        self._groups.add(cell[:2], sums, now_s)

    def retract_grade(
        self, cell: Cell, model: str, quality: float, weight: float, told_s: float
    ) -> None:
        """Takes back what was told at told_s, so that a later grade can replace it."""
        sums = _sums(quality, weight)
        self._pairs.take_back((cell, model), _sums(quality, 1.0), told_s)
        self._models.take_back(model, sums, told_s)
        self._groups.take_back(cell[:2], sums, told_s)

    def begin_anew(self, model: str, recent: Recent, now_s: float) -> Collection[tuple[str, str]]:
        """Lets only recent grades tell of a model that has changed; says which groups it was in.

        Older ones still tell of their cells, as those of a model that is gone.
        """
        self._split(model, {cell: (n, n, right) for cell, (n, right) in recent.items()}, now_s)
        self._models.put(model, np.sum([*recent.values(), (0.0, 0.0)], axis=0)[[0, 0, 1]], now_s)
        self._widened[model] = _WIDENED
        groups = {cell[:2] for cell, name in self._pairs if name in (model, _gone(model))}
        for group in groups:
            self._groups.drop(group)
        return groups

    def succeed(self, model: str, now_s: float) -> None:
        """Another version inherits what its elder was graded, for as much as a few grades say."""
        grades = float(_grades(self._models.of(model, now_s)[None, :])[0])
        part = min(1.0, _INHERITED_GRADES / grades) if grades else 1.0
        pairs, sums = self._pairs.all(now_s)
        own = {k[0]: s * part for k, s in zip(pairs, sums, strict=True) if k[1] == model}
        self._split(model, own, now_s)
        self._models.put(model, self._models.of(model, now_s) * part, now_s)

    def _split(self, model: str, kept: Mapping[Cell, Any], now_s: float) -> None:
        """Keeps so much of what tells of a model; the rest is of one that is gone."""
        pairs, sums = self._pairs.all(now_s)
        for (cell, name), told in zip(pairs, sums, strict=True):
            if name != model:
                continue
            left = np.minimum(np.array(kept.get(cell, (0.0, 0.0, 0.0))), told)
            gone = told - left
            if gone[0] > _GRADES_MIN:
                gone[2] = min(gone[2], gone[0])  # what is kept has not decayed
                self._pairs.add((cell, _gone(model)), gone, now_s)
            if left[0] > _GRADES_MIN:
                self._pairs.put((cell, model), left, now_s)
            else:
                self._pairs.drop((cell, model))

    def mean(self, cells: Sequence[Cell], models: Sequence[str], now_s: float) -> Floats:
        """(C, M) the accuracy of each cell with each model, graded or not."""
        return np.clip(self.posterior(cells, models, now_s).mean, 0.0, 1.0)

    def bounds(
        self, cells: Sequence[Cell], models: Sequence[str], now_s: float
    ) -> tuple[Floats, Floats]:
        """(C, M) the low and high bounds of 95 %; doubts about cell and model are part of them."""
        found = self.posterior(cells, models, now_s)
        half = _Z * np.sqrt(found.variance)
        return np.clip(found.mean - half, 0.0, 1.0), np.clip(found.mean + half, 0.0, 1.0)

    def posterior(self, cells: Sequence[Cell], models: Sequence[str], now_s: float) -> Posterior:
        """Of the cells and models asked for; whatever was graded takes part."""
        pairs, sums = self._pairs.all(now_s)
        known = np.flatnonzero(_grades(sums) > _GRADES_MIN)
        graded, sums = [pairs[k] for k in known.tolist()], sums[known]
        rows = _index([*cells, *(cell for cell, _ in graded)])
        columns = _index([*models, *(model for _, model in graded)])
        observed = Observed(
            cell=np.array([rows[cell] for cell, _ in graded], dtype=np.int64),
            model=np.array([columns[model] for _, model in graded], dtype=np.int64),
            mean=sums[:, 2] / sums[:, 0],
            grades=_grades(sums),
        )
        found = fit(observed, self._believed(list(columns), now_s), len(rows), self._spreads)
        self._spreads = found.spreads
        return found.posterior.of(
            np.array([rows[cell] for cell in cells], dtype=np.int64),
            np.array([columns[model] for model in models], dtype=np.int64),
        )

    def of_model(self, model: str, now_s: float) -> Estimate:
        """The accuracy of all that the model answered, shrunk toward its prior."""
        mean, grades = _mean(self._models.of(model, now_s))
        prior = self._priors.get(model, _UNKNOWN)
        believed = grades + prior.shown_grades
        shrunk = (grades * mean + prior.shown_grades * prior.accuracy) / believed
        return Estimate(shrunk, *_wilson(shrunk, believed), grades)

    def of_group(self, traffic_class: str, payer: str, now_s: float) -> Estimate:
        """The accuracy of what a class and payer were served; 0, from 0 to 1, without grades."""
        mean, grades = _mean(self._groups.of((traffic_class, payer), now_s))
        return Estimate(mean, *_wilson(mean, grades), grades)

    def to_plain(self) -> dict[str, Any]:
        """All that outlives the process, in what JSON has; priors are the configuration's."""
        plain = {name: sums.to_plain() for name, sums in self._tables().items()}
        return {
            "since_s": {name: one["since_s"] for name, one in plain.items()},
            **{name: one["rows"] for name, one in plain.items()},
            "spreads": [self._spreads.cell, self._spreads.pair],
            "model_spread": self._spreads.model,
            "widened": [[model, widened] for model, widened in self._widened.items()],
            "priors": [
                [model, *self._priors[model], since_s]
                for model, since_s in self._since_s.items()
                if model in self._priors
            ],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], priors: Mapping[str, Prior]) -> Self:
        """Takes up what `to_plain` wrote; raises ValueError, TypeError or LookupError."""
        found = cls(priors)
        for name, sums in found._tables().items():
            sums.restore({"since_s": plain["since_s"][name], "rows": plain[name]})
        spreads = Spreads(*map(positive, plain["spreads"]))
        if plain.get("model_spread") is not None:
            spreads = replace(spreads, model=positive(plain["model_spread"]))
        found._spreads = spreads
        found._widened = {str(model): positive(by) for model, by in plain.get("widened") or ()}
        for model, accuracy, grades, since_s in plain.get("priors") or ():
            prior = Prior(float(accuracy), grades)
            if found._priors.setdefault(model, prior) == prior:
                found._since_s[model] = float(since_s)
        return found

    def _tables(self) -> Mapping[str, DecayedSums[Any]]:
        return {"pairs": self._pairs, "models": self._models, "groups": self._groups}

    def _believed(self, models: Sequence[str], now_s: float) -> Priors:
        """As sure as the grades that a prior rests on make it: as those of then would by now."""
        # Of a model that is gone, as of the one that it was.
        priors = [self._priors.get(model.rstrip(_GONE), _UNKNOWN) for model in models]
        mean = np.array([prior.accuracy for prior in priors])
        ages_s = np.array([now_s - self._since_s.setdefault(model, now_s) for model in models])
        left = 2.0 ** -(np.maximum(ages_s, 0.0) / self._half_life_s)
        grades = np.array([prior.grades or 0.0 for prior in priors]) * left
        rests_on = np.full(len(priors), inf)
        variance = np.divide(graded_variance(mean), grades, out=rests_on, where=grades > 0)
        return Priors(mean, variance, np.array([self._widened.get(m, 0.0) for m in models]))


def _sums(quality: float, weight: float) -> tuple[float, float, float]:
    """How much, how unequal, how good: the sums of weight, its square and weighted quality."""
    if not 0.0 <= quality <= 1.0:
        raise ValueError(f"quality is {quality}: it must be from 0 to 1")
    if not (weight > 0.0 and isfinite(weight)):
        raise ValueError(f"weight is {weight}: it must be finite and above 0")
    return weight, weight**2, weight * quality


def _grades(sums: Floats) -> Floats:
    """(K,) how many grades of equal weight would tell as much (Kish)."""
    square = sums[:, 1]
    return np.divide(sums[:, 0] ** 2, square, out=np.zeros(len(sums)), where=square > 0)


def _mean(sums: Floats) -> tuple[float, float]:
    grades = float(_grades(sums[None, :])[0])
    return (float(sums[2] / sums[0]), grades) if grades else (0.0, 0.0)


def _wilson(mean: float, grades: float) -> tuple[float, float]:
    """The 95 % bounds of a share, which hold for few grades and for shares near 0 and 1 too."""
    if not grades:
        return 0.0, 1.0
    doubt = _Z**2 / grades
    centre = (mean + doubt / 2) / (1 + doubt)
    half = sqrt(doubt * (mean * (1 - mean) + doubt / 4)) / (1 + doubt)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _gone(model: str) -> str:
    return model + _GONE


def _index(keys: Sequence[Key]) -> dict[Key, int]:
    return {key: index for index, key in enumerate(dict.fromkeys(keys))}
