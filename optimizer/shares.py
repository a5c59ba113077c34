"""Shares that add up: what the solver says to ten digits, made exact."""

from dataclasses import replace

import numpy as np

from optimizer.problem import Floats, Problem
from optimizer.programme import Programme
from optimizer.vertex import Vertex

# Floats hold its multiples up to 1, and add them up exactly in any order.
_QUANTUM = 2.0**-53
# A smaller share is what the solver left by rounding.
_SHARE_MIN = 1e-14


def exact(shares: Floats, shed: Floats) -> Floats:
    """(K, M) each row and its shed fraction add up to 1; the largest share takes the rest."""
    rounded = quantised(shares)
    largest = rounded.argmax(axis=1)
    rounded[np.arange(len(rounded)), largest] += 1.0 - shed - rounded.sum(axis=1)
    return rounded


def quantised(fractions: Floats) -> Floats:
    """Rounded down, so that a model with next to no capacity is not overrun by rounding."""
    whole = np.floor(np.clip(fractions, 0.0, 1.0) / _QUANTUM) * _QUANTUM
    return np.where(whole < _SHARE_MIN, 0.0, whole)


def table(problem: Problem, programme: Programme, vertex: Vertex) -> Floats:
    """(L, M) the shares of the live cells."""
    pairs = programme.pairs
    shares = np.zeros((pairs.live.size, len(problem.models)))
    shares[pairs.seat, pairs.model] = vertex.x[: programme.shed_start]
    return shares


def repaired(problem: Problem, programme: Programme, vertex: Vertex) -> Vertex:
    """The vertex with exact shares; elastic rows have the slack that these need."""
    pairs, x = programme.pairs, vertex.x.copy()
    shed = quantised(x[programme.shed_start : programme.slack_start])
    shares = exact(table(problem, programme, vertex), shed[problem.pool_of[pairs.live]])
    x[: programme.shed_start] = shares[pairs.seat, pairs.model]
    x[programme.shed_start : programme.slack_start] = shed
    x[programme.slack_start :] = 0.0
    beyond = (programme.rows @ x - programme.limits) * programme.row_scale
    x[programme.slack_start :] = np.maximum(beyond[programme.slack_row], 0.0)
    return replace(vertex, x=x)
