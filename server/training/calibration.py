"""From scores to probabilities, by text that was not learned from."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]

_START = (5.0, -3.0, 0.0)
# Beyond these a score decides alone, or nothing is left of it.
_BOUNDS = ((0.1, 50.0), (-50.0, 50.0), (-50.0, 50.0))
# Three numbers need no more.
EXAMPLES_MAX = 4_000
_LEAST = 1e-12


class Calibration(NamedTuple):
    """Log odds of a label: slope x score, of those outside plus a shift; and of none of them."""

    slope: float
    outside_shift: float
    none: float


def calibrate(scores: Floats, labels: NDArray[np.int64], named: int) -> Calibration:
    """The likeliest, for scores (N, L) of which the first `named` columns are inside."""
    step = -(-len(labels) // EXAMPLES_MAX)
    scores, labels = scores[::step], labels[::step]

    def surprise(parameters: Floats) -> float:
        right = _right(probabilities(scores, Calibration(*parameters), named), labels, named)
        return float(-np.log(np.maximum(right, _LEAST)).mean())

    return Calibration(*minimize(surprise, _START, method="L-BFGS-B", bounds=_BOUNDS).x)


def probabilities(scores: Floats, calibration: Calibration, named: int) -> Floats:
    """(N, L + 1) Of each label and of none."""
    odds = calibration.slope * scores
    odds[:, named:] += calibration.outside_shift
    odds = np.pad(odds, ((0, 0), (0, 1)), constant_values=calibration.none)
    odds = np.exp(odds - odds.max(axis=1, keepdims=True))
    found: Floats = odds / odds.sum(axis=1, keepdims=True)
    return found


def _right(found: Floats, labels: NDArray[np.int64], named: int) -> Floats:
    """(N,) What was given to the truth; for a text outside, to all that are outside together."""
    of_labels = found[np.arange(len(labels)), labels]
    return np.where(labels < named, of_labels, found[:, named:].sum(axis=1))
