"""Spreads what is shed evenly over the pools of a priority.

Least is made the part of all requests that is shed and the largest fraction of a pool's, together:
so among equals all pools yield alike, one that nothing can serve is shed alone, and nobody is shed
much for those who use far more. The pools that keep the largest fraction up are held at it, and the
rest are looked at again, as water fills vessels.
"""

from dataclasses import replace

import numpy as np

from optimizer.certificate import Optimum
from optimizer.deadline import Deadline
from optimizer.holding import NOTHING, reached
from optimizer.levels import Level
from optimizer.problem import Bools, Ints, Problem
from optimizer.programme import Programme
from optimizer.solution import Failure
from optimizer.vertex import Cap, Target

# Each finds one more fraction at which pools are shed; after so many the others share the last.
_ROUNDS_MAX = 6
# A pool whose bound has a smaller price does not keep the largest fraction up.
_PRICE_MIN = 1e-7
# A fraction that is nearer than this to the largest is the largest.
_NEAR = 1e-7


def spread(
    problem: Problem, programme: Programme, held: Target, level: Level, deadline: Deadline
) -> Target | Failure:
    """Holds what is shed of each pool of a level."""
    cost = np.zeros(held.cost.size)
    cost[level.columns], cost[programme.largest_shed] = level.weights, 1.0
    free = level.columns
    for _ in range(_ROUNDS_MAX):
        caps = (*held.caps, *(_below_largest(programme, pool) for pool in free.tolist()))
        target = replace(held, cost=cost, caps=caps)
        optimum = reached(problem, programme, target, deadline)
        if isinstance(optimum, Failure):
            return optimum
        x, upper = optimum.vertex.x, held.upper.copy()
        largest = float(x[free].max())
        upper[free] = np.minimum(upper[free], largest)
        held = replace(held, upper=upper, start=None if held.start is None else x)
        free = free[~_keeping(optimum, free, largest)]
        if largest <= NOTHING or not free.size:
            break
    return held


def _below_largest(programme: Programme, pool: int) -> Cap:
    columns = np.array([pool, programme.largest_shed])
    return Cap(columns, 0.0, np.array([1.0, -1.0]))


def _keeping(optimum: Optimum, free: Ints, largest: float) -> Bools:
    """Which pools keep the largest fraction up; all that have it if no price says which."""
    at = optimum.vertex.x[free] >= largest - _NEAR
    priced: Bools = at & (optimum.vertex.cap_prices[-free.size :] > _PRICE_MIN)
    return priced if priced.any() else at
