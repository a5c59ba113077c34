"""What a plan serves each group."""

from typing import NamedTuple

import numpy as np

from optimizer.constraints import live_cells
from optimizer.problem import Floats, Problem


class Mix(NamedTuple):
    """What each group is served, in means over its requests: one a cell where it has no demand."""

    served: Floats  # (G,) fraction of the requests
    accuracy: Floats  # (G,) 0 where nothing is served
    miss: Floats  # (G,) likewise
    models: Floats  # (G, M) each model's share

    @classmethod
    def of(cls, problem: Problem, shares: Floats, shed: Floats) -> "Mix":
        """Every group with a cell has a mix, unless all of it is shed."""
        weight = nominal_demand(problem)
        total = _by_group(problem, weight[:, None] * shares)
        served = total.sum(axis=1)
        per_request = 1.0 / np.where(served, served, 1.0)
        accuracy = _by_group(problem, weight * (shares * problem.accuracy).sum(axis=1))
        miss = _by_group(problem, weight * (shares * problem.miss).sum(axis=1))
        models = total * per_request[:, None]
        of_cells = _by_group(problem, weight * shed[problem.pool_of])
        every = _by_group(problem, weight)
        shed_part = of_cells / np.where(every, every, 1.0)
        return cls(1.0 - shed_part, accuracy * per_request, miss * per_request, models)


def nominal_demand(problem: Problem) -> Floats:
    """(C,) the demand; 1 for every cell of a group that has none that counts."""
    lives = np.isin(problem.group_of, problem.group_of[live_cells(problem)])
    return np.where(lives, problem.demand, 1.0)


def _by_group(problem: Problem, values: Floats) -> Floats:
    total = np.zeros((len(problem.groups), *values.shape[1:]))
    np.add.at(total, problem.group_of, values)
    return total
