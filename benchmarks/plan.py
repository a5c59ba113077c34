"""The solve of a window: 200 cells x 20 models in 20 groups, everything that a plan can hold."""

import time
from functools import partial

import numpy as np

from benchmarks.floors.bare_linprog import BareLinprog
from benchmarks.harness import Benchmark, Claim, Row, compare, compared_s
from optimizer.deadline import Deadline
from optimizer.lp import solve
from optimizer.problem import Budget, Floats, Group, Problem, Resource

# Beside linprog, a solve builds the rows, certifies the answer and makes shares of it.
CLAIM = Claim("plan", "optimizer.lp.solve", "bare linprog", ratio_max=1.5)

_ROUNDS, _CALLS, _BOTH_US = 30, 3, 53_000.0
_TIME_LIMIT_S = 600.0  # of all rounds
_SEED = 7
_MODELS = 20
_ALLOWED = 0.9  # of all pairs: the others lack a capability
_NAMES = tuple(f"model-{m}" for m in range(_MODELS))


def run(toy: bool) -> list[Row]:
    rounds, calls = (3, 1) if toy else (_ROUNDS, _CALLS)
    problem = window(cells=40, groups=4) if toy else window(cells=200, groups=20)
    deadline = Deadline(_TIME_LIMIT_S, time.monotonic)
    subject = partial(solve, problem, deadline)
    floor = BareLinprog(problem).solve
    clock = time.perf_counter
    return [compare(CLAIM, subject, floor, rounds=rounds, calls=calls, clock=clock)]


def window(*, cells: int, groups: int) -> Problem:
    """Dearer models are better and slower. Bounds of every kind bind, and all can be held."""
    random, models = np.random.default_rng(_SEED), len(_NAMES)
    demand = random.lognormal(3.0, 1.5, cells)
    grade = np.linspace(0.0, 1.0, models)
    cost = 1e5 * 100.0**grade * random.lognormal(0.0, 0.3, (cells, models))
    accuracy = np.clip(0.75 + 0.2 * grade + random.normal(0.0, 0.04, (cells, models)), 0.0, 1.0)
    miss = np.clip(0.01 + 0.08 * grade**2 + random.normal(0.0, 0.01, (cells, models)), 0.0, 1.0)
    return Problem(
        models=_NAMES,
        groups=tuple(Group(f"class-{g}", "-", g % 3, 0.86, 0.02) for g in range(groups)),
        group_of=np.arange(cells) % groups,
        demand=demand,
        cost_nano_usd=cost,
        accuracy=accuracy,
        miss=miss,
        allowed=random.random((cells, models)) < _ALLOWED,
        resources=_resources(demand),
        budgets=_budgets(demand, cost),
    )


def _resources(demand: Floats) -> list[Resource]:
    """Each model takes twice its even part of the requests."""
    capacity = 2 * float(demand.sum()) / _MODELS
    return [
        Resource(name, np.tile(use, (demand.size, 1)), capacity)
        for name, use in zip(_NAMES, np.eye(_MODELS), strict=True)
    ]


def _budgets(demand: Floats, cost: Floats) -> list[Budget]:
    """Five that split the cells; each pace allows about half of what the middle model costs."""
    of_cell = np.arange(demand.size) % 5
    pace = 0.52 * demand * np.median(cost, axis=1)
    return [Budget(f"budget-{b}", of_cell == b, float(pace[of_cell == b].sum())) for b in range(5)]


BENCHMARK = Benchmark("plan", (CLAIM,), run, compared_s(_ROUNDS, _CALLS, _BOTH_US))
