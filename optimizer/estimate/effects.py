"""What every cell adds to every model's accuracy, fitted jointly.

    accuracy of cell i at model m = prior_m + s_m o + d_m + c_i + e_im,
    o ~ N(0, _OFFSET^2),  d ~ N(0, doubt of the prior),
    c ~ N(0, cell spread),  e ~ N(0, pair spread), all independent;
    a mean of n grades adds N(0, p (1 - p) / n).

A model's raw mean tells as much about where it was sent as about the model; o + d does not, for c
takes up how hard each cell is. Priors that nobody measured are wrong together: o is what they are
all off by (s_m = 1; it is 0 for one that rests on grades). The spreads of d, c and e are found in
the same data (empirical Bayes): where pairs hardly differ from their parents, each pair leans on
all the others.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from optimizer.estimate.posterior import Posterior
from optimizer.problem import Floats, Ints

# Standard deviations believed before any grade, and by how many cells or pairs, and how many
# models, each is believed.
_CELL_SPREAD, _PAIR_SPREAD, _MODEL_SPREAD = 0.1, 0.05, 0.1
_BELIEF, _MODEL_BELIEF = 10.0, 5.0
# Of what all guesses are off by: who writes them down hardly ever errs by more than forty points.
_OFFSET = 0.2
# Each fit starts from the spreads of the last, so a few steps are enough.
_STEPS = 4
# No grade is taken as sure, even of a model that has never been wrong.
_ACCURACY_MIN = 0.02


@dataclass(frozen=True, slots=True)
class Observed:
    """One entry for each pair of a cell and a model that has grades."""

    cell: Ints  # (K,) index
    model: Ints  # (K,) index
    mean: Floats  # (K,) of the grades
    grades: Floats  # (K,) how many grades of equal weight would tell as much


@dataclass(frozen=True, slots=True)
class Priors:
    """What is believed of each model before any grade."""

    mean: Floats  # (M,) 0 to 1
    variance: Floats  # (M,) of one that rests on grades; infinite for a guess
    widened: Floats  # (M,) standard deviation that a change of the model adds


@dataclass(frozen=True, slots=True)
class Spreads:
    """Variances that the data speak for."""

    cell: float = _CELL_SPREAD**2
    pair: float = _PAIR_SPREAD**2
    model: float = _MODEL_SPREAD**2


@dataclass(frozen=True, slots=True)
class Fit:
    """Every cell with every model, graded or not."""

    posterior: Posterior
    spreads: Spreads


@dataclass(frozen=True, slots=True)
class _Doubts:
    """Of each model's prior: the variance that is its own, and its part of the offset."""

    own: Floats  # (M,)
    is_guess: Floats  # (M,) 1 or 0
    is_plain: Floats  # (M,) 1 for guesses of models that have not changed: they show the spread

    @classmethod
    def of(cls, priors: Priors, spreads: Spreads) -> "_Doubts":
        """Grades on which a prior rests count only where they are more than a guess is worth."""
        guess = priors.variance >= spreads.model
        deviation = np.sqrt(np.where(guess, spreads.model, priors.variance)) + priors.widened
        plain = guess & (priors.widened == 0.0)
        return cls(deviation**2, guess.astype(np.float64), plain.astype(np.float64))


def fit(observed: Observed, priors: Priors, cells: int, spreads: Spreads) -> Fit:
    """A cell without grades has the models' own means, with the spread of cells."""
    noise = _noise(observed, priors.mean[observed.model])
    for _ in range(_STEPS):
        found = joint(observed, noise, priors, cells, spreads)
        noise = _noise(observed, found.posterior.parents[observed.cell, observed.model])
        spreads = _respread(observed, noise, found, priors, spreads)
    return Fit(joint(observed, noise, priors, cells, spreads).posterior, spreads)


def _noise(observed: Observed, expected: Floats) -> Floats:
    """(K,) variance of each mean, at most: no grades from 0 to 1 vary more than yes and no do."""
    return graded_variance(expected) / observed.grades


def graded_variance(accuracy: Floats) -> Floats:
    """The variance of one grade, which is right or wrong."""
    sure = np.clip(accuracy, _ACCURACY_MIN, 1.0 - _ACCURACY_MIN)
    return sure * (1.0 - sure)


class Joint(NamedTuple):
    """What is known once the spreads are."""

    posterior: Posterior
    model_square: Floats  # (M,) expected d * d


def joint(observed: Observed, noise: Floats, priors: Priors, cells: int, spreads: Spreads) -> Joint:
    """Normal equations with the cells eliminated: what is left is models and the offset.

    noise: (K,) variance of each observed mean.
    """
    doubts, models = _Doubts.of(priors, spreads), priors.mean.size
    at = observed.cell, observed.model
    weight, pull = np.zeros((2, cells, models))
    weight[at] = 1.0 / (spreads.pair + noise)
    pull[at] = weight[at] * (observed.mean - priors.mean[observed.model])
    of_cell = weight.sum(axis=1) + 1.0 / spreads.cell
    part = weight / of_cell[:, None]
    told = np.diag(weight.sum(axis=0)) - weight.T @ part
    with_offset = np.column_stack([np.eye(models), doubts.is_guess])
    believed = np.diag(1.0 / np.append(doubts.own, _OFFSET**2))
    covariance = np.linalg.inv(with_offset.T @ told @ with_offset + believed)
    found = covariance @ with_offset.T @ (pull.sum(axis=0) - part.T @ pull.sum(axis=1))
    own, graded = np.zeros((2, cells, models))
    own[at] = spreads.pair / (spreads.pair + noise)
    graded[at] = observed.mean
    posterior = Posterior(
        prior=priors.mean,
        b=with_offset @ found,
        b_covariance=with_offset @ covariance @ with_offset.T,
        c_without_b=pull.sum(axis=1) / of_cell,
        c_per_b=part,
        c_rest=1.0 / of_cell,
        own=own,
        graded=graded,
        pair=spreads.pair,
        shown=np.arange(models),
    )
    return Joint(posterior, (found**2 + np.diag(covariance))[:-1])


def _respread(
    observed: Observed, noise: Floats, found: Joint, priors: Priors, spreads: Spreads
) -> Spreads:
    """One step of expectation and maximisation, held back by what was believed before."""
    at, posterior = (observed.cell, observed.model), found.posterior
    own = spreads.pair / (spreads.pair + noise)
    pair_square = (
        (own * (observed.mean - posterior.parents[at])) ** 2
        + own**2 * posterior.parents_variance[at]
        + spreads.pair * (1.0 - own)
    )
    cell_square = posterior.c**2 + posterior.c_variance
    plain = np.intersect1d(observed.model, np.flatnonzero(_Doubts.of(priors, spreads).is_plain))
    return Spreads(
        cell=_believed(_CELL_SPREAD, cell_square[np.unique(observed.cell)], _BELIEF),
        pair=_believed(_PAIR_SPREAD, pair_square, _BELIEF),
        model=_believed(_MODEL_SPREAD, found.model_square[plain], _MODEL_BELIEF),
    )


def _believed(spread: float, squares: Floats, belief: float) -> float:
    return float((belief * spread**2 + squares.sum()) / (belief + squares.size))
