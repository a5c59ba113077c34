"""What is given up first, when not everything can be had.

Levels, each optimum held for the next: from the highest priority down the least shedding, the least
breach of pins, of SLOs and of floors, those of domains before the mean; then the least money beyond
the pace. Then comes what yields to money: from the highest priority down the floors that may give
way while a pace is short, and at last what is lacking of the most accuracy where that is bought.
Groups of one priority count alike, whatever their demand: a level sums fractions of each group's
requests; what is shed is summed by pool.

The levels take many solves. One comes before them, in which every bound has a price and all is
weighed at once: what it finds keeps capacity and comes near the levels, and it is the plan when
time is over before they are done, or when they cannot be certified.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optimizer.certificate import Optimum, certified, errors, holds
from optimizer.constraints import Constraint
from optimizer.deadline import Deadline
from optimizer.problem import Floats, Group, Ints, Problem
from optimizer.programme import Programme
from optimizer.sifting import cheapest_start
from optimizer.solution import Failure
from optimizer.vertex import GAP_MAX, Cap, Infeasible, Target

# Fractions: a level below this gave nothing up.
_NOTHING = 1e-9
# An optimum is held as it is; only if rounding made that infeasible may it be worsened by this.
_MARGINS = (0.0, 1e-9, 1e-8)
# Where few columns are looked at an optimum is held so loosely: held closer, its price is that of
# rounding, and no answer could be certified.
_SIFTED_MARGIN = 2e-7
# The gap that a pass may have: a share of a large group that is held may weigh a billion times as
# much as one of a tiny group that is sought, and then rounding alone shows as a gap.
_PASS_GAP_MAX = 1e-7
# The elastic solve weighs a level ten times as much as the next, in a spread that leaves the last
# one far above the solver's tolerance.
_GRADE, _GRADE_MAX = 10.0, 1e5
# What it costs to give up a bound whole, in what the window costs at least.
_PENALTY = 100.0
# The weight of the cost beside the levels: so small that it mostly decides only between plans that
# give up the same. The solver is done sooner with it than without.
_COST_PART = 1e-7
# What a group gives up last, to what it gives up first.
_FLOOR_FIRST = ("pin", "domain", "floor", "slo")
_SLO_FIRST = ("pin", "slo", "domain", "floor")

_Place = tuple[int, int, int]  # of a level: the first is given up last


def cheapest(
    problem: Problem, programme: Programme, deadline: Deadline, *, sifted: bool
) -> Optimum | Failure:
    """The cheapest plan that keeps all bounds, or else the cheapest of those that give up least.

    A large programme is sifted: what is found by one solve is where the next one starts.
    """
    aim = _aim(programme)
    if aim.size and not sifted:
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


def _aim(programme: Programme) -> Ints:
    """The columns of what is lacking of accuracy that is bought."""
    kinds = [programme.constraints[row].kind for row in programme.slack_row.tolist()]
    return programme.slack_start + np.flatnonzero([kind == "aim" for kind in kinds])


def _bought(
    problem: Problem, programme: Programme, aim: Ints, deadline: Deadline
) -> Optimum | Infeasible | Failure:
    """The cheapest of the plans that buy the most, where nothing else has to give way."""
    upper = _nothing_given_up(programme)
    upper[aim] = programme.upper[aim]
    target = Target(_graded(programme, [aim]), upper, gap_max=_PASS_GAP_MAX)
    most = certified(problem, programme, target, deadline)
    if not isinstance(most, Optimum):
        return most
    held = replace(_hold(target, most, aim), cost=programme.cost, gap_max=GAP_MAX)
    return _reached(problem, programme, held, deadline)


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
    return _graded(programme, _levels(problem, programme)) + _COST_PART * programme.cost


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
    return _reached(problem, programme, target, deadline)


def _relaxed(
    problem: Problem, programme: Programme, start: Floats | None, deadline: Deadline
) -> Target | Failure:
    """Elastic solves, mostly one, guess all levels; each that gave way is then solved for alone."""
    held = Target(programme.cost, programme.upper, gap_max=_PASS_GAP_MAX, start=start)
    todo: Sequence[Ints] = _levels(problem, programme)
    while todo:
        target = replace(held, cost=_graded(programme, todo))
        guess = _reached(problem, programme, target, deadline)
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
    state: tuple[Target, Sequence[Ints]],
    guess: Optimum,
    deadline: Deadline,
) -> tuple[Target, Sequence[Ints]] | Failure:
    """Holds the levels that the guess got right; returns what is held and which are still to do."""
    held, todo = state
    for n, level in enumerate(todo):
        guessed = _given_up(guess, level)
        # The last level needs no solve of its own: beside the others the guess made it least.
        if guessed > _NOTHING and n < len(todo) - 1:
            target = replace(held, cost=_graded(programme, [level]))
            alone = _reached(problem, programme, target, deadline)
            if isinstance(alone, Failure):
                return alone
            if _given_up(alone, level) < guessed - _NOTHING:
                return _hold(held, alone, level), todo[n + 1 :]
        held = _hold(held, guess, level)
    return held, ()


def _levels(problem: Problem, programme: Programme) -> list[Ints]:
    """The columns of each level; the first is given up last."""
    levels: defaultdict[_Place, list[int]] = defaultdict(list)
    live = programme.pairs.live
    pools, first = np.unique(problem.pool_of[live], return_index=True)
    for pool, index in zip(pools.tolist(), problem.group_of[live[first]].tolist(), strict=True):
        levels[0, -problem.groups[index].priority, 0].append(programme.shed_start + pool)
    for column, row in enumerate(programme.slack_row.tolist(), start=programme.slack_start):
        levels[_place(problem.groups, programme.constraints[row])].append(column)
    return [np.array(levels[place], dtype=np.int64) for place in sorted(levels)]


def _place(groups: Sequence[Group], one: Constraint) -> _Place:
    """The place of its level: bounds by priority and kind, then paces, then what money moves."""
    if one.kind == "pace":
        return 1, 0, 0
    if one.kind == "aim":
        return 3, 0, 0
    assert one.group is not None
    group = groups[one.group]
    if one.kind == "short":
        return 2, -group.priority, 0
    order = _FLOOR_FIRST if group.floor_before_slo else _SLO_FIRST
    return 0, -group.priority, 1 + order.index(one.kind)


def _graded(programme: Programme, levels: Sequence[Ints]) -> Floats:
    cost = np.zeros(programme.upper.size)
    grade = min(_GRADE, _GRADE_MAX ** (1 / len(levels)))
    for index, level in enumerate(reversed(levels)):
        cost[level] = grade**index
    return cost


def _reached(
    problem: Problem, programme: Programme, target: Target, deadline: Deadline
) -> Optimum | Failure:
    """Solves with what is held. It was found together, so only rounding can make it infeasible."""
    failure = Failure("solver", "infeasible even with everything shed")
    eased = 0.0 if target.start is None else _SIFTED_MARGIN
    for margin in _MARGINS:
        caps = tuple(Cap(cap.columns, cap.limit + margin + eased) for cap in target.caps)
        loosened = replace(target, upper=target.upper + margin, caps=caps)
        optimum = certified(problem, programme, loosened, deadline)
        if isinstance(optimum, Optimum):
            return optimum
        if isinstance(optimum, Failure):
            failure = optimum
        if failure.status == "limit":
            break
    return failure


def _hold(held: Target, optimum: Optimum, level: Ints) -> Target:
    """A level that gave nothing up is closed, any other capped at what it gave up."""
    given_up = _given_up(optimum, level)
    if held.start is not None:
        held = replace(held, start=optimum.vertex.x)
    if given_up > _NOTHING:
        return replace(held, caps=(*held.caps, Cap(level, given_up)))
    upper = held.upper.copy()
    upper[level] = optimum.vertex.x[level]
    return replace(held, upper=upper)


def _given_up(optimum: Optimum, level: Ints) -> float:
    return float(optimum.vertex.x[level].sum())
