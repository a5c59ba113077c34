"""scipy's linprog on a programme; its result codes stop here."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from optimizer.deadline import Deadline
from optimizer.problem import Floats
from optimizer.programme import Programme
from optimizer.sifting import Sifting
from optimizer.solution import Failure
from optimizer.vertex import INFEASIBLE, LIMIT, OPTIMAL, TOLERANCE, Cap, Infeasible, Target, Vertex

# One after the other where an answer cannot be trusted: two algorithms, then the first without the
# presolve, which now and then loses its way among numbers twelve digits apart.
_ATTEMPTS: tuple[tuple[Literal["highs-ds", "highs-ipm"], bool], ...] = (
    ("highs-ds", True),
    ("highs-ipm", True),
    ("highs-ds", False),
)


def answers(
    programme: Programme, target: Target, deadline: Deadline
) -> Iterator[Vertex | Infeasible | Failure]:
    """One for each attempt: ask for the next only if the last cannot be trusted."""
    if target.start is not None:
        yield Sifting(programme, target).answer(target.start, deadline)
    rows, limits = _with_caps(programme, target.caps)
    for method, presolve in _ATTEMPTS:
        left_s = deadline.left_s()
        if not left_s:
            yield Failure("limit", "the time limit was reached before a solve began")
            return
        result = linprog(  # type: ignore[call-overload]  # the stubs know no sparse rows
            target.cost,
            A_ub=rows,
            b_ub=limits,
            A_eq=programme.seats,
            b_eq=np.ones(programme.seats.shape[0]),
            bounds=np.column_stack([np.zeros(target.upper.size), target.upper]),
            method=method,
            options={
                "presolve": presolve,
                "time_limit": left_s,
                "primal_feasibility_tolerance": TOLERANCE,
                "dual_feasibility_tolerance": TOLERANCE,
            },
        )
        if result.status == OPTIMAL:
            prices = np.maximum(-result.ineqlin.marginals, 0.0)
            count = len(programme.constraints)
            yield Vertex(result.x, prices[:count], prices[count:], result.eqlin.marginals)
        elif result.status == INFEASIBLE:
            yield Infeasible()
        else:
            yield Failure("limit" if result.status == LIMIT else "solver", result.message)


def _with_caps(programme: Programme, caps: tuple[Cap, ...]) -> tuple[sparse.csr_array, Floats]:
    if not caps:
        return programme.rows, programme.limits
    columns = np.concatenate([cap.columns for cap in caps])
    row = np.repeat(np.arange(len(caps)), [cap.columns.size for cap in caps])
    shape = len(caps), programme.upper.size
    weights = np.concatenate([cap.weights for cap in caps])
    held = sparse.csr_array((weights, (row, columns)), shape=shape)
    limits = [cap.limit for cap in caps]
    return sparse.vstack([programme.rows, held], format="csr"), np.append(programme.limits, limits)
