"""scikit-learn, where it is installed: `turnout train` alone needs it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]


class SolverMissing(Exception):
    """Says what to install."""


def one_against_rest(
    features: sparse.csr_array, labels: Sequence[int], count: int, *, seed: int
) -> tuple[Floats, Floats]:
    """The weights (F, L) and biases (L,) of a linear machine for each of `count` labels.

    A label without an example speaks for nothing.
    """
    try:
        from sklearn.svm import LinearSVC
    except ImportError:
        raise SolverMissing(
            "training needs scikit-learn, which serving does not: pip install scikit-learn"
        ) from None
    machine = LinearSVC(random_state=seed).fit(features, labels)
    weights, biases = np.zeros((features.shape[1], count)), np.full(count, -1.0)
    coefficients, intercepts = machine.coef_, machine.intercept_
    if len(coefficients) == 1:  # one machine stands for two labels
        coefficients = np.concatenate((-coefficients, coefficients))
        intercepts = np.concatenate((-intercepts, intercepts))
    weights[:, machine.classes_] = coefficients.T
    biases[machine.classes_] = intercepts
    return weights, biases
