"""Windows for tests, and what a plan gives up, reckoned without the optimizer's own code."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from optimizer.deadline import Deadline
from optimizer.lp import solve
from optimizer.problem import Budget, Floats, Group, Ints, Pin, Problem, Resource
from optimizer.solution import Solution

TIME_LIMIT_S = 10.0


def plan(problem: Problem) -> Solution:
    solution = solve(problem, Deadline(TIME_LIMIT_S, time.monotonic))
    assert isinstance(solution, Solution), solution
    return solution


def window(
    cost: Sequence[Sequence[float]],
    accuracy: Sequence[Sequence[float]],
    *groups: Group,
    demand: Sequence[float] | None = None,
    group_of: Sequence[int] | None = None,
    miss: Sequence[Sequence[float]] | None = None,
) -> Problem:
    """One group and one request a cell unless told otherwise; every model allowed."""
    costs = np.array(cost, dtype=float)
    cells, models = costs.shape
    return Problem(
        models=tuple(f"m{m}" for m in range(models)),
        groups=groups or (Group("code", "-"),),
        group_of=np.array(group_of if group_of is not None else [0] * cells),
        demand=np.array(demand if demand is not None else [1.0] * cells),
        cost_nano_usd=costs,
        accuracy=np.array(accuracy, dtype=float),
        miss=np.zeros(costs.shape) if miss is None else np.array(miss, dtype=float),
        allowed=np.ones(costs.shape, dtype=bool),
    )


def capacity_of(problem: Problem, model: int, requests: float) -> Resource:
    use = np.zeros(problem.allowed.shape)
    use[:, model] = 1.0
    return Resource(problem.models[model], use, requests)


# On a grid, so that hypothesis finds ties, exact fits and zeros.
fractions = st.integers(0, 20).map(lambda n: n / 20)
bounds = st.none() | fractions
demands = st.integers(0, 5).map(float)
wide_demands = st.integers(-60, 60).map(lambda tenths: 10.0 ** (tenths / 10))


def _table(rows: int, columns: int, high: int) -> st.SearchStrategy[Floats]:
    return hnp.arrays(np.int64, (rows, columns), elements=st.integers(0, high)).map(
        lambda numbers: numbers.astype(float)
    )


_plain = {
    "traffic_class": st.just(""),
    "payer": st.just("-"),
    "priority": st.integers(0, 1),
    "floor": bounds,
    "miss_max": bounds,
    "floor_before_slo": st.booleans(),
}
groups = st.builds(Group, **_plain)
# Which give way to money, seek what it buys, or ask something of each domain.
moved_groups = st.builds(
    lambda group, part, **money: replace(
        group, floor_when_short=None if group.floor is None else part * group.floor, **money
    ),
    groups,
    fractions,
    domain_floor=bounds,
    best_within_budget=st.booleans(),
)


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    cells_max: int = 2,
    models_max: int = 3,
    groups_max: int = 2,
    demand: st.SearchStrategy[float] = demands,
    pinned: bool = False,
    moved: bool = False,
) -> Problem:
    """Small windows with everything in them: several priorities, capacity, pace, masks."""
    cells, models = draw(st.integers(1, cells_max)), draw(st.integers(1, models_max))
    kinds = moved_groups if moved else groups
    drawn = draw(st.lists(kinds, min_size=1, max_size=groups_max))
    problem = Problem(
        models=tuple(f"m{m}" for m in range(models)),
        groups=tuple(replace(g, traffic_class=f"c{n}") for n, g in enumerate(drawn)),
        group_of=np.array([draw(st.integers(0, len(drawn) - 1)) for _ in range(cells)]),
        demand=np.array([draw(demand) for _ in range(cells)]),
        cost_nano_usd=draw(_table(cells, models, 50)) * 10,
        accuracy=draw(_table(cells, models, 20)) / 20,
        miss=draw(_table(cells, models, 20)) / 20,
        allowed=_with_a_model(draw(hnp.arrays(np.bool_, (cells, models)))),
    )
    return replace(
        problem,
        resources=draw(st.lists(_resources(problem), max_size=1)),
        budgets=draw(st.lists(_budgets(problem), max_size=1)),
        pins=draw(st.lists(_pins(problem), max_size=1)) if pinned else (),
        pools=draw(st.none() | _pools(problem)),
        domains=draw(hnp.arrays(np.int64, cells, elements=st.integers(0, 1))) if moved else None,
        domain_names=("law", "other") if moved else ("all",),
    )


def _pools(problem: Problem) -> st.SearchStrategy[Ints]:
    """Each group is one pool or two."""
    halves = hnp.arrays(np.int64, problem.demand.shape, elements=st.integers(0, 1))
    return halves.map(lambda half: 2 * problem.group_of + half)


def _with_a_model(
    allowed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.where(allowed.any(axis=1, keepdims=True), allowed, True)


def _resources(problem: Problem) -> st.SearchStrategy[Resource]:
    """Some requests take a thousand times what others do: no weighing of levels gets that right."""
    total, takes = float(problem.demand.sum()), np.array([0.0, 1.0, 10.0, 1000.0])
    return st.builds(
        lambda kinds, part, large: Resource("gpu", takes[kinds.astype(int)], total * part * large),
        _table(len(problem.demand), len(problem.models), 3),
        fractions,
        st.sampled_from([1.0, 1000.0]),
    )


def _budgets(problem: Problem) -> st.SearchStrategy[Budget]:
    total = float(problem.demand @ problem.cost_nano_usd.max(axis=1))
    return st.builds(
        lambda cells, part: Budget("team", cells, total * part),
        hnp.arrays(np.bool_, problem.demand.shape),
        fractions,
    )


def _pins(problem: Problem) -> st.SearchStrategy[Pin]:
    return st.builds(
        lambda group, model, pair: Pin(group, model, *sorted(pair)),
        st.integers(0, len(problem.groups) - 1),
        st.integers(0, len(problem.models) - 1),
        st.tuples(fractions, fractions),
    )
