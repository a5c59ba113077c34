"""What grades leave in doubt of every cell with every model, jointly.

Pairs are in doubt together: what a model is better by, it is better by in every cell. So a joint
draw is one world that the grades so far allow, and the mean of a model over many cells is less in
doubt than each of its pairs.
"""

from dataclasses import dataclass, replace

import numpy as np

from optimizer.problem import Floats, Ints

_LEAST = 1e-12  # of a variance, beside which rounding cannot make it negative


@dataclass(frozen=True, slots=True)
class Posterior:
    """A pair is its parent, prior + b + c, as far as its own grades do not say otherwise.

    b is what each model differs from its prior by; c is how easy each cell is, given b.
    """

    prior: Floats  # (K,) of the models shown
    b: Floats  # (M,) expected
    b_covariance: Floats  # (M, M)
    c_without_b: Floats  # (C,) expected c where b is 0
    c_per_b: Floats  # (C, M) c falls by so much for each of b
    c_rest: Floats  # (C,) variance of c that is left where b is known
    own: Floats  # (C, K) how far a pair's own grades count, 0 to 1
    graded: Floats  # (C, K) mean of its own grades; 0 where there are none
    pair: float  # variance of pairs around their parents
    shown: Ints  # (K,) which of the M models these are

    @property
    def c(self) -> Floats:
        """(C,) expected."""
        return self._cells_given(self.b)

    @property
    def c_variance(self) -> Floats:
        """(C,)."""
        of_b = (self.c_per_b @ self.b_covariance * self.c_per_b).sum(axis=1)
        found: Floats = self.c_rest + of_b
        return found

    @property
    def parents(self) -> Floats:
        """(C, K) expected."""
        return self._parents(self.b, self.c)

    @property
    def parents_variance(self) -> Floats:
        """(C, K)."""
        shared = self.c_per_b @ self.b_covariance
        of_model = np.diag(self.b_covariance)[self.shown]
        return self.c_variance[:, None] + of_model - 2.0 * shared[:, self.shown]

    @property
    def mean(self) -> Floats:
        """(C, K) not clipped."""
        return self._own_over(self.parents)

    @property
    def variance(self) -> Floats:
        """(C, K)."""
        rest = 1.0 - self.own
        return self.pair * rest + rest**2 * self.parents_variance

    def draw(self, random: np.random.Generator) -> Floats:
        """(C, K) one world that the grades allow, not clipped."""
        factor = np.linalg.cholesky(self.b_covariance + _LEAST * np.eye(self.b.size))
        b = self.b + factor @ random.standard_normal(self.b.size)
        c_rest = np.sqrt(self.c_rest) * random.standard_normal(self.c_rest.size)
        parents = self._parents(b, self._cells_given(b) + c_rest)
        e_rest = np.sqrt(self.pair * (1.0 - self.own)) * random.standard_normal(self.own.shape)
        return self._own_over(parents) + e_rest

    def deviation_of_means(self, weights: Floats) -> Floats:
        """(K,) of each model's mean over all cells; weights: (C,), adding up to 1."""
        leaning = weights[:, None] * (1.0 - self.own)
        of_b = -leaning.T @ self.c_per_b
        of_b[np.arange(self.shown.size), self.shown] += leaning.sum(axis=0)
        variance = (of_b @ self.b_covariance * of_b).sum(axis=1)
        variance += self.c_rest @ leaning**2
        variance += weights**2 @ (self.pair * (1.0 - self.own))
        found: Floats = np.sqrt(variance)
        return found

    def of(self, cells: Ints, models: Ints) -> "Posterior":
        """The same, of some cells and of some of the models shown."""
        at = np.ix_(cells, models)
        return replace(
            self,
            prior=self.prior[models],
            c_without_b=self.c_without_b[cells],
            c_per_b=self.c_per_b[cells],
            c_rest=self.c_rest[cells],
            own=self.own[at],
            graded=self.graded[at],
            shown=self.shown[models],
        )

    def _cells_given(self, b: Floats) -> Floats:
        return self.c_without_b - self.c_per_b @ b

    def _parents(self, b: Floats, c: Floats) -> Floats:
        return self.prior + b[self.shown] + c[:, None]

    def _own_over(self, parents: Floats) -> Floats:
        return parents + self.own * (self.graded - parents)
