"""Certifies what the solver answers: its shares and prices show how wrong it can be at most."""

from typing import NamedTuple

import numpy as np

from optimizer.constraints import Constraint
from optimizer.deadline import Deadline
from optimizer.problem import Problem
from optimizer.programme import Programme
from optimizer.shares import repaired
from optimizer.solution import Failure, Stopped
from optimizer.solver import answers
from optimizer.vertex import Infeasible, Target, Vertex

# By how much a row may be exceeded, relative to its bound.
_VIOLATION_MAX = 1e-9
# A bound below this part of the largest number of its row is noise beside it: it measures nothing.
_NOISE = 1e-4


class Errors(NamedTuple):
    """How wrong an answer can be at most; both figures are relative."""

    duality_gap: float
    worst_violation: float


class Optimum(NamedTuple):
    """A vertex with exact shares that holds all rows, and is optimal within the errors."""

    vertex: Vertex
    errors: Errors
    stopped: Stopped = ""  # why the least is not certain


def certified(
    problem: Problem, programme: Programme, target: Target, deadline: Deadline
) -> Optimum | Infeasible | Failure:
    """The first attempt that can be trusted; when time is over, one that holds all rows."""
    failure = Failure("solver", "no attempt was made")
    feasible: Optimum | None = None
    for answer in answers(programme, target, deadline):
        if isinstance(answer, Infeasible):
            return answer
        if isinstance(answer, Failure):
            failure = answer
            continue
        vertex = repaired(problem, programme, answer)
        found = errors(programme, target, vertex)
        if found.worst_violation <= _VIOLATION_MAX:
            if found.duality_gap <= target.gap_max:
                return Optimum(vertex, found)
            feasible = Optimum(vertex, found, stopped="time")
        failure = Failure("uncertified", f"beyond what is allowed: {found}")
    return feasible if feasible is not None and failure.status == "limit" else failure


def holds(target: Target, found: Errors) -> bool:
    """Whether that is within what a certificate allows."""
    return found.worst_violation <= _VIOLATION_MAX and found.duality_gap <= target.gap_max


def errors(programme: Programme, target: Target, vertex: Vertex) -> Errors:
    """How far at most the vertex is from the least cost, and from what it promises."""
    return Errors(_gap(programme, target, vertex), _violation(programme, target, vertex))


def _gap(programme: Programme, target: Target, vertex: Vertex) -> float:
    """The gap relative to the cost. Its bound holds for any prices, so no tolerance enters it."""
    reduced = target.cost + programme.rows.T @ vertex.row_prices
    bound = -float(programme.limits @ vertex.row_prices)
    for cap, price in zip(target.caps, vertex.cap_prices, strict=True):
        reduced[cap.columns] += price * cap.weights
        bound -= cap.limit * float(price)
    rest = reduced - programme.seats.T @ vertex.seat_prices
    bound += float(vertex.seat_prices.sum()) + float(np.minimum(rest, 0.0) @ target.upper)
    cost = float(target.cost @ vertex.x)
    return abs(cost - bound) / max(abs(cost), 1.0)


def _violation(programme: Programme, target: Target, vertex: Vertex) -> float:
    """The worst violation: of fractions as it is, of other rows relative to their bound."""
    beyond = (programme.rows @ vertex.x - programme.limits) * programme.row_scale
    size = np.array([_size(one) for one in programme.constraints])
    capped = [float(vertex.x[cap.columns] @ cap.weights) - cap.limit for cap in target.caps]
    seats = np.abs(programme.seats @ vertex.x - 1.0)
    parts = (beyond / size, capped, vertex.x - target.upper, -vertex.x, seats)
    return max(float(np.max(part, initial=0.0)) for part in parts)


def _size(one: Constraint) -> float:
    if one.fractions:
        return 1.0
    return max(one.limit, _NOISE * float(one.value.max(initial=0.0))) or 1.0
