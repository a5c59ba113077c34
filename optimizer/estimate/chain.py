"""What becomes of a request that begins with a model: who else is asked, and who answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from optimizer.estimate.decayed import DecayedSums, EstimateOfSums
from optimizer.problem import Bools, Floats, Ints

# A class, the model that requests began with and one that was asked; 200 bytes each.
LEGS_MAX = 50_000
# A model is credited with so many requests that it answered at once. So it is trusted until its own
# requests say otherwise: else a new model would be sent nothing and never be known.
_CREDIT = 10.0
# What all classes say counts as much as this many requests of a class itself.
_ALL_CLASSES = 10.0

Leg = tuple[str, str, str]  # class, first model, model


@dataclass(frozen=True, slots=True)
class Chain:
    """What became of a class's requests; rows: the model they began with, columns: those asked."""

    reach: sparse.csr_array  # (M, M) attempts per request
    answered: sparse.csr_array  # (M, M) answers per request

    @property
    def answers(self) -> sparse.csr_array:
        """(M, M) the part of answered requests that each model answered."""
        return _by_row(self.answered, 1.0 / self.answered.sum(axis=1))


class ChainEstimate(EstimateOfSums[Leg]):
    """Each class and first model leans on all classes of that first model."""

    def __init__(self, *, half_life_s: float = 120.0) -> None:
        self._sums = DecayedSums[Leg](3, half_life_s=half_life_s, keys_max=LEGS_MAX)

    def observe_leg(
        self, leg: Leg, *, ended: float, attempts: float, answered: float, now_s: float
    ) -> None:
        """Counts a leg; ended: requests, which come with the leg whose model is the first."""
        self._sums.add(leg, (ended, attempts, answered), now_s)

    def of(
        self, classes: Sequence[str], models: Sequence[str], now_s: float
    ) -> Mapping[str, Chain]:
        """The chain of every class that is asked for, among these models."""
        told = _table(*self._sums.all(now_s), classes, models)
        overall = _credited(told.of(np.full(told.first.size, True)))
        return {name: _leaning(told.of(told.row == k), overall) for k, name in enumerate(classes)}


@dataclass(frozen=True, slots=True)
class _Sums:
    """What was told of some requests."""

    ended: Floats  # (M,) by first model
    attempts: sparse.csr_array  # (M, M)
    answered: sparse.csr_array  # (M, M)


@dataclass(frozen=True, slots=True)
class _Table:
    """What was told, one entry for each of L legs."""

    models: int
    row: Ints  # (L,) index of the class; -1: not asked for
    first: Ints  # (L,) index
    model: Ints  # (L,) index
    sums: Floats  # (L, 3)

    def of(self, legs: Bools) -> _Sums:
        """The sums over some legs."""
        first, model, (ended, attempts, answered) = (
            self.first[legs],
            self.model[legs],
            self.sums[legs].T,
        )
        shape = self.models, self.models
        return _Sums(
            np.bincount(first, ended, minlength=self.models).astype(np.float64),
            sparse.csr_array((attempts, (first, model)), shape=shape),
            sparse.csr_array((answered, (first, model)), shape=shape),
        )


def _table(
    legs: Sequence[Leg], sums: Floats, classes: Sequence[str], models: Sequence[str]
) -> _Table:
    """One entry for each leg whose models are asked for."""
    rows = {name: i for i, name in enumerate(classes)}
    index = {name: m for m, name in enumerate(models)}
    known = [
        (k, rows.get(name, -1), index[first], index[model])
        for k, (name, first, model) in enumerate(legs)
        if first in index and model in index
    ]
    kept, row, first, model = np.array(known, dtype=np.int64).reshape(-1, 4).T
    return _Table(len(models), row, first, model, sums[kept])


def _credited(told: _Sums) -> Chain:
    """The chain of all classes together, with what models are credited with."""
    requests = told.ended + _CREDIT
    itself = _CREDIT * sparse.eye_array(told.ended.size, format="csr")
    return Chain(
        _by_row(told.attempts + itself, 1 / requests),
        _by_row(told.answered + itself, 1 / requests),
    )


def _leaning(told: _Sums, overall: Chain) -> Chain:
    """The chain of one class, leaning on that of all."""
    requests = told.ended + _ALL_CLASSES
    return Chain(
        _by_row(told.attempts + _ALL_CLASSES * overall.reach, 1 / requests),
        _by_row(told.answered + _ALL_CLASSES * overall.answered, 1 / requests),
    )


def _by_row(table: sparse.csr_array, factors: Floats) -> sparse.csr_array:
    """Each row times its factor."""
    scaled: sparse.csr_array = (sparse.diags_array(factors) @ table).tocsr()
    return scaled
