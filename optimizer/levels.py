"""The order in which things are given up, as columns to make least one after the other.

From the highest priority down: the least shedding, the least breach of pins, of SLOs and of floors,
those of domains before the mean; then the least money beyond the pace. Then comes what yields to
money: from the highest priority down the floors that may give way while a pace is short, and at
last what is lacking of the most accuracy where that is bought.
Groups of one priority count alike, whatever their demand: of bounds a level sums fractions of each
group's requests. What is shed is counted by requests, so that those yield who use the most.

A lower class is shed for a higher one's bound only at an exchange: a level of SLOs or floors counts
what is shed of lower priorities, too, or a class would be refused whole for the last hundredth of
a point of another's.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from optimizer.constraints import Constraint
from optimizer.problem import Floats, Group, Ints, Problem
from optimizer.programme import Programme

# So many requests of lower priority may be refused for one more answer of a higher class that is
# right, or in time: on average over the groups of its priority.
EXCHANGE = 10.0
# A pool weighs at least this part of its priority's requests: what a solver still sees.
_PART_MIN = 1e-4
# What a lower class weighs in a higher one's level stays between these: numbers further apart are
# lost to rounding.
_EXCHANGED_MIN, _EXCHANGED_MAX = 1e-4, 1e2
# The elastic solve weighs a level ten times as much as the next, in a spread that leaves the last
# one far above the solver's tolerance.
_GRADE, _GRADE_MAX = 10.0, 1e5
# What a group gives up last, to what it gives up first.
_FLOOR_FIRST = ("pin", "domain", "floor", "slo")
_SLO_FIRST = ("pin", "slo", "domain", "floor")
_EXCHANGING = frozenset({"slo", "domain", "floor"})

_Place = tuple[int, int, int]  # of a level: the first is given up last


class Level(NamedTuple):
    """A weighted sum of columns that is made least, and then held."""

    columns: Ints
    weights: Floats
    sheds: bool = False  # whether it is what is shed of the pools of one priority


def levels_of(problem: Problem, programme: Programme) -> list[Level]:
    """The first is given up last."""
    pools = _pools_of(problem, programme)
    placed: defaultdict[_Place, list[int]] = defaultdict(list)
    for column, row in enumerate(programme.slack_row.tolist(), start=programme.slack_start):
        placed[_place(problem.groups, programme.constraints[row])].append(column)
    found = {
        place: _of_bounds(programme, place, columns, pools) for place, columns in placed.items()
    }
    found |= {(0, -priority, 0): _of_shed(*of) for priority, of in pools.items()}
    return [found[place] for place in sorted(found)]


def graded(programme: Programme, levels: Sequence[Level]) -> Floats:
    """All at once, each weighed so that what comes after it hardly counts beside it."""
    cost = np.zeros(programme.upper.size)
    grade = min(_GRADE, _GRADE_MAX ** (1 / len(levels)))
    for index, level in enumerate(reversed(levels)):
        cost[level.columns] += grade**index * level.weights
    return cost


def _pools_of(problem: Problem, programme: Programme) -> dict[int, tuple[Ints, Floats]]:
    """By priority the columns of what is shed, and the requests of each."""
    live = programme.pairs.live
    pools, first, place = np.unique(problem.pool_of[live], return_index=True, return_inverse=True)
    requests = np.bincount(place, problem.demand[live])
    groups = problem.group_of[live[first]].tolist()
    priority = np.array([problem.groups[g].priority for g in groups])
    return {
        one: (programme.shed_start + pools[priority == one], requests[priority == one])
        for one in np.unique(priority).tolist()
    }


def _of_shed(columns: Ints, requests: Floats) -> Level:
    return Level(columns, np.maximum(requests / requests.sum(), _PART_MIN), sheds=True)


def _of_bounds(
    programme: Programme,
    place: _Place,
    columns: Sequence[int],
    pools: dict[int, tuple[Ints, Floats]],
) -> Level:
    own = np.array(columns, dtype=np.int64)
    rows = programme.slack_row[own - programme.slack_start]
    bounds = [programme.constraints[row] for row in rows.tolist()]
    lower = [of for priority, of in pools.items() if -priority > place[1]]
    if place[0] or not lower or not any(one.kind in _EXCHANGING for one in bounds):
        return Level(own, np.ones(own.size))
    an_answer = EXCHANGE * float(np.mean([one.unit for one in bounds]))
    weights = np.concatenate([requests for _, requests in lower]) / an_answer
    return Level(
        np.concatenate([own, *(columns for columns, _ in lower)]),
        np.append(np.ones(own.size), np.clip(weights, _EXCHANGED_MIN, _EXCHANGED_MAX)),
    )


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
