"""Solves with what earlier levels reached held."""

from dataclasses import replace

from optimizer.certificate import Optimum, certified
from optimizer.deadline import Deadline
from optimizer.levels import Level
from optimizer.problem import Problem
from optimizer.programme import Programme
from optimizer.solution import Failure
from optimizer.vertex import Cap, Target

# Less than this of a level is nothing given up.
NOTHING = 1e-9
# An optimum is held as it is; only if rounding made that infeasible may it be worsened by this.
_MARGINS = (0.0, 1e-9, 1e-8)
# Where few columns are looked at an optimum is held so loosely: held closer, its price is that of
# rounding, and no answer could be certified.
_SIFTED_MARGIN = 2e-7


def reached(
    problem: Problem, programme: Programme, target: Target, deadline: Deadline
) -> Optimum | Failure:
    """Solves with what is held. It was found together, so only rounding can make it infeasible."""
    failure = Failure("solver", "infeasible even with everything shed")
    eased = 0.0 if target.start is None else _SIFTED_MARGIN
    for margin in _MARGINS:
        caps = tuple(cap._replace(limit=cap.limit + margin + eased) for cap in target.caps)
        loosened = replace(target, upper=target.upper + margin, caps=caps)
        optimum = certified(problem, programme, loosened, deadline)
        if isinstance(optimum, Optimum):
            return optimum
        if isinstance(optimum, Failure):
            failure = optimum
        if failure.status == "limit":
            break
    return failure


def hold(held: Target, optimum: Optimum, level: Level) -> Target:
    """A level that gave nothing up is closed, any other capped at what it gave up."""
    lost = given_up(optimum, level)
    if held.start is not None:
        held = replace(held, start=optimum.vertex.x)
    if lost > NOTHING:
        return replace(held, caps=(*held.caps, Cap(level.columns, lost, level.weights)))
    upper = held.upper.copy()
    upper[level.columns] = optimum.vertex.x[level.columns]
    return replace(held, upper=upper)


def given_up(optimum: Optimum, level: Level) -> float:
    """What the level comes to."""
    return float(optimum.vertex.x[level.columns] @ level.weights)
