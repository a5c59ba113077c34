"""What every cell adds to every model's accuracy, fitted jointly.

    accuracy of cell i at model m = prior_m + b_m + c_i + e_im,
    b ~ N(0, doubt of the prior),  c ~ N(0, cell spread),  e ~ N(0, pair spread), all independent;
    a mean of n grades adds N(0, p (1 - p) / n).

A model's raw mean tells as much about where it was sent as about the model; b does not, for c takes
up how hard each cell is. The spreads of c and e are found in the same data (empirical Bayes): where
pairs hardly differ from b + c, each pair leans on all the others.
"""

from dataclasses import dataclass

import numpy as np

from optimizer.problem import Floats, Ints

# Standard deviations believed before any grade, and by how many cells or pairs it is believed.
_CELL_SPREAD, _PAIR_SPREAD = 0.1, 0.05
_BELIEF = 10.0
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
    variance: Floats  # (M,) above 0


@dataclass(frozen=True, slots=True)
class Spreads:
    """Variances that the data speak for."""

    cell: float = _CELL_SPREAD**2
    pair: float = _PAIR_SPREAD**2


@dataclass(frozen=True, slots=True)
class Fit:
    """Means and variances of every cell with every model, graded or not."""

    mean: Floats  # (C, M)
    variance: Floats  # (C, M)
    spreads: Spreads


@dataclass(frozen=True, slots=True)
class _Parents:
    """What a pair is believed to be before its own grades: prior + b + c."""

    mean: Floats  # (C, M)
    variance: Floats  # (C, M)
    cell_square: Floats  # (C,) expected c * c


def fit(observed: Observed, priors: Priors, cells: int, spreads: Spreads) -> Fit:
    """A cell without grades has the models' own means, with the spread of cells."""
    noise = _noise(observed, priors.mean[observed.model])
    for _ in range(_STEPS):
        parents = _parents(observed, noise, priors, cells, spreads)
        noise = _noise(observed, parents.mean[observed.cell, observed.model])
        spreads = _respread(observed, noise, parents, spreads)
    return posterior(observed, noise, priors, cells, spreads)


def posterior(
    observed: Observed, noise: Floats, priors: Priors, cells: int, spreads: Spreads
) -> Fit:
    """What is known once the spreads are; noise: (K,) variance of each observed mean."""
    at = observed.cell, observed.model
    parents = _parents(observed, noise, priors, cells, spreads)
    # A pair's own grades count as far as pairs differ; for the rest its parents do.
    own = spreads.pair / (spreads.pair + noise)
    mean, variance = parents.mean.copy(), parents.variance + spreads.pair
    mean[at] += own * (observed.mean - parents.mean[at])
    variance[at] = spreads.pair * (1.0 - own) + (1.0 - own) ** 2 * parents.variance[at]
    return Fit(mean, variance, spreads)


def _noise(observed: Observed, expected: Floats) -> Floats:
    """(K,) variance of each mean, at most: no grades from 0 to 1 vary more than yes and no do."""
    return graded_variance(expected) / observed.grades


def graded_variance(accuracy: Floats) -> Floats:
    """The variance of one grade, which is right or wrong."""
    sure = np.clip(accuracy, _ACCURACY_MIN, 1.0 - _ACCURACY_MIN)
    return sure * (1.0 - sure)


def _parents(
    observed: Observed, noise: Floats, priors: Priors, cells: int, spreads: Spreads
) -> _Parents:
    """Normal equations with the cells eliminated: what is left is models x models."""
    at = observed.cell, observed.model
    weight, pull = np.zeros((2, cells, priors.mean.size))
    weight[at] = 1.0 / (spreads.pair + noise)
    pull[at] = weight[at] * (observed.mean - priors.mean[observed.model])
    of_cell = weight.sum(axis=1) + 1.0 / spreads.cell
    part = weight / of_cell[:, None]
    of_model = np.diag(weight.sum(axis=0) + 1.0 / priors.variance)
    covariance = np.linalg.inv(of_model - weight.T @ part)
    b = covariance @ (pull.sum(axis=0) - part.T @ pull.sum(axis=1))
    c = (pull.sum(axis=1) - weight @ b) / of_cell
    shared = part @ covariance
    c_variance = 1.0 / of_cell + (shared * part).sum(axis=1)
    variance = c_variance[:, None] + np.diag(covariance) - 2.0 * shared
    return _Parents(priors.mean + b + c[:, None], variance, c**2 + c_variance)


def _respread(observed: Observed, noise: Floats, parents: _Parents, spreads: Spreads) -> Spreads:
    """One step of expectation and maximisation, held back by what was believed before."""
    at = observed.cell, observed.model
    own = spreads.pair / (spreads.pair + noise)
    pair_square = (
        (own * (observed.mean - parents.mean[at])) ** 2
        + own**2 * parents.variance[at]
        + spreads.pair * (1.0 - own)
    )
    graded = np.unique(observed.cell)
    return Spreads(
        cell=_believed(_CELL_SPREAD, parents.cell_square[graded]),
        pair=_believed(_PAIR_SPREAD, pair_square),
    )


def _believed(spread: float, squares: Floats) -> float:
    return float((_BELIEF * spread**2 + squares.sum()) / (_BELIEF + squares.size))
