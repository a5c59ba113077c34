"""What a plan runs out of: the capacities that are used up where requests are shed."""

from collections.abc import Mapping, Sequence

import numpy as np

from optimizer.problem import Floats, Problem, Resource
from optimizer.solution import Solution
from server.control.window import Window
from server.routing.shedding import listed

# Used up but for the solver's rounding.
_FULL = 1 - 1e-6
# A smaller share is the solver's rounding, not a decision.
SHARE_MIN = 1e-6


def bindings(window: Window, solution: Solution) -> Mapping[int, str]:
    """By pool that is shed, what is used up of all that it may use: "capacity of svc"."""
    pools = np.flatnonzero(solution.shed > SHARE_MIN).tolist()
    if not pools:
        return {}
    problem = window.problem
    full = full_resources(problem, solution.shares)
    return {p: _named([r.name for r in full if _used_by(r, problem, p)]) for p in pools}


def full_resources(problem: Problem, shares: Floats) -> list[Resource]:
    """Those of which the plan leaves nothing."""
    requests = problem.demand[:, np.newaxis] * shares
    return [r for r in problem.resources if (requests * r.use).sum() >= r.capacity * _FULL]


def _used_by(resource: Resource, problem: Problem, pool: int) -> bool:
    of_pool = problem.pool_of == pool
    return bool((problem.allowed[of_pool] & (resource.use[of_pool] > 0)).any())


def _named(names: Sequence[str]) -> str:
    return f"capacity of {listed(names)}" if names else "capacity"
