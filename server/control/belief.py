"""What is believed of accuracy in one window, jointly, by the model that requests begin with."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from optimizer.estimate.posterior import Posterior
from optimizer.problem import Floats, Ints

# How likely it is that some model of all is better than its bound.
_SURPRISE = 0.025


class Belief:
    """Of what each model itself answers, carried over to the requests that begin with it."""

    def __init__(self, posterior: Posterior, carried: Callable[[Floats], Floats]) -> None:
        """`carried` takes (C, M) of each model's own answers to (C, M) by first model."""
        self._posterior = posterior
        self._carried = carried
        self.own = np.clip(posterior.mean, 0.0, 1.0)  # (C, M) of what each model answers itself
        self.mean = self._answers(posterior.mean)  # (C, M)

    def world(self, scale: float, random: np.random.Generator) -> Floats:
        """(C, M) one world, that far from what is expected in parts of a joint draw."""
        expected = self._posterior.mean
        return self._answers(expected + scale * (self._posterior.draw(random) - expected))

    def upper(self, group_of: Ints, demand: Floats) -> Floats:
        """(C, M) each model's mean over a group at a 95 % upper bound that holds for all at once.

        In one cell more is possible, but not in all of them.
        """
        models = self._posterior.shown.size
        beyond = NormalDist().inv_cdf(1.0 - _SURPRISE / models)
        return self.shifted(group_of, demand, beyond)

    def shifted(self, group_of: Ints, demand: Floats, deviations: float) -> Floats:
        """(C, M) with each model's mean over a group so many standard deviations from expected."""
        mean = self._posterior.mean
        bound = np.empty_like(mean)
        for group in np.unique(group_of).tolist():
            cells = np.flatnonzero(group_of == group)
            weights = _parts(demand[cells])
            models = np.arange(mean.shape[1])
            deviation = self._posterior.of(cells, models).deviation_of_means(weights)
            bound[cells] = mean[cells] + deviations * deviation
        return self._answers(bound)

    def _answers(self, own: Floats) -> Floats:
        return np.clip(self._carried(np.clip(own, 0.0, 1.0)), 0.0, 1.0)


def _parts(demand: Floats) -> Floats:
    """Of the whole, or all alike where nobody asks."""
    total = demand.sum()
    return demand / total if total else np.full(demand.size, 1.0 / demand.size)
