"""What is given up first, when not everything can be had.

Each of the levels (`levels`) is made least, and held for the next; what is shed is spread evenly
as it is found (`spreading`).

The levels take many solves. One comes before them, in which every bound has a price and all is
weighed at once: what it finds keeps capacity and comes near the levels, and it is the plan when
time is over before they are done, or when they cannot be certified.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optimizer.certificate import Optimum, certified, errors, holds
from optimizer.deadline import Deadline
from optimizer.holding import NOTHING, given_up, hold, reached
from optimizer.levels import Level, graded, levels_of
from optimizer.problem import Floats, Problem
from optimizer.programme import Programme
from optimizer.sifting import cheapest_start
from optimizer.solution import Failure
from optimizer.spreading import spread
from optimizer.vertex import GAP_MAX, Infeasible, Target

# The gap that a pass may have: a share of a large group that is held may weigh a billion times as
# much as one of a tiny group that is sought, and then rounding alone shows as a gap.
_PASS_GAP_MAX = 1e-7
# What it costs to give up a bound whole, in what the window costs at least.
_PENALTY = 100.0
# The weight of the cost beside the levels: so small that it mostly decides only between plans that
# give up the same. The solver is done sooner with it than without.
_COST_PART = 1e-7


def cheapest(
    problem: Problem, programme: Programme, deadline: Deadline, *, sifted: bool
) -> Optimum | Failure:
    """The cheapest plan that keeps all bounds, or else the cheapest of those that give up least.

    A large programme is sifted: what is found by one solve is where the next one starts.
    """
    aim = _aim(programme)
    if aim.columns.size and not sifted:
        bought = _bought(problem, programme, aim, deadline)
        if isinstance(bought, Optimum):
            return bought
    first = _penalised if sifted else _strict
    optimum = first(problem, programme, deadline)
    if isinstance(optimum, Optimum) and (optimum.stopped or _is_whole(programme, optimum)):
        return optimum
    if isinstance(optimum, Failure) and optimum.status == "limit":
        return optimum
    penalised = optimum if isinstance(optimum, Optimum) else None
    start = None if penalised is None else penalised.vertex.x
    weighed = _weighed(problem, programme, start, deadline) or penalised
    if sifted and weighed is not None:
        start = weighed.vertex.x
    optimum = _by_levels(problem, programme, start, deadline)
    if isinstance(optimum, Optimum) or weighed is None:
        return optimum
    return weighed._replace(stopped="time" if optimum.status == "limit" else "precision")


def _aim(programme: Programme) -> Level:
    """What is lacking of accuracy that is bought."""
    kinds = [programme.constraints[row].kind for row in programme.slack_row.tolist()]
    columns = programme.slack_start + np.flatnonzero([kind == "aim" for kind in kinds])
    return Level(columns, np.ones(columns.size))


def _bought(
    problem: Problem, programme: Programme, aim: Level, deadline: Deadline
) -> Optimum | Infeasible | Failure:
    """The cheapest of the plans that buy the most, where nothing else has to give way."""
    upper = _nothing_given_up(programme)
    upper[aim.columns] = programme.upper[aim.columns]
    target = Target(graded(programme, [aim]), upper, gap_max=_PASS_GAP_MAX)
    most = certified(problem, programme, target, deadline)
    if not isinstance(most, Optimum):
        return most
    held = replace(hold(target, most, aim), cost=programme.cost, gap_max=GAP_MAX)
    return reached(problem, programme, held, deadline)


def _strict(
    problem: Problem, programme: Programme, deadline: Deadline
) -> Optimum | Infeasible | Failure:
    target = Target(programme.cost, _nothing_given_up(programme))
    return certified(problem, programme, target, deadline)


def _penalised(
    problem: Problem, programme: Programme, deadline: Deadline
) -> Optimum | Infeasible | Failure:
    """Bounds have a penalty that none is worth: where all can hold, what is found holds them."""
    start, cost = cheapest_start(programme), programme.cost.copy()
    cost[programme.shed_start :] = _PENALTY * max(float(programme.cost @ start), 1.0)
    target = Target(cost, programme.upper, start=start)
    return certified(problem, programme, target, deadline)


def _is_whole(programme: Programme, optimum: Optimum) -> bool:
    """Whether it is proven to be the cheapest that keeps all bounds."""
    target = Target(programme.cost, _nothing_given_up(programme))
    return holds(target, errors(programme, target, optimum.vertex))


def _nothing_given_up(programme: Programme) -> Floats:
    strict = programme.upper.copy()
    strict[programme.shed_start :] = 0.0
    return strict


def weighed_cost(problem: Problem, programme: Programme) -> Floats:
    """What is minimised where every bound has a price and all is weighed at once."""
    return graded(programme, levels_of(problem, programme)) + _COST_PART * programme.cost


def _weighed(
    problem: Problem, programme: Programme, start: Floats | None, deadline: Deadline
) -> Optimum | None:
    cost = weighed_cost(problem, programme)
    target = Target(cost, programme.upper, gap_max=_PASS_GAP_MAX, start=start)
    optimum = certified(problem, programme, target, deadline)
    if not isinstance(optimum, Optimum):
        return None
    prices = optimum.vertex.row_prices / _COST_PART  # as if cost had counted in full
    return optimum._replace(vertex=replace(optimum.vertex, row_prices=prices))


def _by_levels(
    problem: Problem, programme: Programme, start: Floats | None, deadline: Deadline
) -> Optimum | Failure:
    held = _relaxed(problem, programme, start, deadline)
    if isinstance(held, Failure):
        return held
    target = replace(held, cost=programme.cost, gap_max=GAP_MAX)
    return reached(problem, programme, target, deadline)


def _relaxed(
    problem: Problem, programme: Programme, start: Floats | None, deadline: Deadline
) -> Target | Failure:
    """Elastic solves, mostly one, guess all levels; each that gave way is then solved for alone."""
    held = Target(programme.cost, programme.upper, gap_max=_PASS_GAP_MAX, start=start)
    todo: Sequence[Level] = levels_of(problem, programme)
    while todo:
        target = replace(held, cost=graded(programme, todo))
        guess = reached(problem, programme, target, deadline)
        if isinstance(guess, Failure):
            return guess
        followed = _followed(problem, programme, (held, todo), guess, deadline)
        if isinstance(followed, Failure):
            return followed
        held, todo = followed
    return held


def _followed(
    problem: Problem,
    programme: Programme,
    state: tuple[Target, Sequence[Level]],
    guess: Optimum,
    deadline: Deadline,
) -> tuple[Target, Sequence[Level]] | Failure:
    """Holds the levels that the guess got right; returns what is held and which are still to do."""
    held, todo = state
    for n, level in enumerate(todo):
        if level.sheds and guess.vertex.x[level.columns].max() > NOTHING:
            even = spread(problem, programme, held, level, deadline)
            return even if isinstance(even, Failure) else (even, todo[n + 1 :])
        guessed = given_up(guess, level)
        # The last level needs no solve of its own: beside the others the guess made it least.
        if guessed > NOTHING and n < len(todo) - 1:
            target = replace(held, cost=graded(programme, [level]))
            alone = reached(problem, programme, target, deadline)
            if isinstance(alone, Failure):
                return alone
            if given_up(alone, level) < guessed - NOTHING:
                return hold(held, alone, level), todo[n + 1 :]
        held = hold(held, guess, level)
    return held, ()
