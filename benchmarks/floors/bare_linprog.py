"""The least that solving a window could cost: one call of linprog, its arrays already built."""

import numpy as np
from scipy.optimize import linprog

from optimizer.problem import Problem
from optimizer.programme import programme


class BareLinprog:
    """The programme of a window in which everything holds, as scipy takes it."""

    def __init__(self, problem: Problem) -> None:
        self._programme = built = programme(problem)
        upper = built.upper.copy()
        upper[built.shed_start :] = 0.0  # nothing is shed, no bound gives way
        self._bounds = np.column_stack([np.zeros(upper.size), upper])
        self._seated = np.ones(built.seats.shape[0])

    def solve(self) -> None:
        """With scipy's defaults; raises ValueError where not everything can hold."""
        result = linprog(  # type: ignore[call-overload]  # the stubs know no sparse rows
            self._programme.cost,
            A_ub=self._programme.rows,
            b_ub=self._programme.limits,
            A_eq=self._programme.seats,
            b_eq=self._seated,
            bounds=self._bounds,
        )
        if not result.success:
            raise ValueError(f"not everything can hold: {result.message}")
