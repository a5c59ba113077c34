"""Windows and solutions made by hand."""

from collections.abc import Mapping, Sequence

import numpy as np

from optimizer.problem import Budget, Group, Problem
from optimizer.solution import Breach, Certificate, Solution
from server.control.budgets import BudgetState
from server.control.hourly import Hourly
from server.control.window import Window
from server.routing.catalog import Cell

Table = Sequence[Sequence[float]]  # (C, M)


def window(
    cells: Sequence[Cell],
    *,
    demand: Sequence[float],
    cost_nano_usd: Table,
    models: tuple[str, ...] = ("small", "large"),
    budgets: Mapping[str, BudgetState] | None = None,
) -> Window:
    """A window of 5 s; floors, accuracies and misses are the same everywhere."""
    groups = list(dict.fromkeys(cell[:2] for cell in cells))
    shape = len(cells), len(models)
    states = budgets or {}
    problem = Problem(
        models=models,
        groups=tuple(Group(*group, floor=0.85) for group in groups),
        group_of=np.array([groups.index(cell[:2]) for cell in cells], dtype=np.int64),
        demand=np.array(demand, dtype=float),
        cost_nano_usd=np.array(cost_nano_usd, dtype=float),
        accuracy=np.full(shape, 0.9),
        miss=np.full(shape, 0.05),
        allowed=np.full(shape, True),
        budgets=[
            Budget(name, np.array([name in cell.payer.split("+") for cell in cells]), 1e6)
            for name in states
        ],
    )
    requests = np.bincount(problem.group_of, problem.demand, len(groups)).astype(np.float64)
    return Window(
        tuple(cells),
        problem,
        configured=problem,
        typical=problem,
        hourly=Hourly(requests * 720, 3_600.0),
        window_s=5.0,
        budgets=states,
        output_tokens=np.zeros(shape),
    )


def solution(
    window: Window,
    shares: Table,
    *,
    shed: Sequence[float] | None = None,
    breaches: tuple[Breach, ...] = (),
    duals: Mapping[str, float] | None = None,
    budget_cost_nano_usd: Sequence[float] = (),
) -> Solution:
    """What the optimizer could have answered."""
    problem, groups = window.problem, len(window.problem.groups)
    refused = np.zeros(problem.pool_count) if shed is None else np.array(shed, dtype=float)
    asked = np.bincount(problem.group_of, problem.demand, groups)
    of_cells = problem.demand * refused[problem.pool_of]
    return Solution(
        shares=np.array(shares, dtype=float),
        shed=refused,
        cost_nano_usd=5e6,
        breaches=breaches,
        duals=duals or {},
        certificate=Certificate(1e-12, 2e-12, "none"),
        accuracy=np.full(groups, 0.9),
        miss=np.full(groups, 0.05),
        group_shed=np.bincount(problem.group_of, of_cells, groups) / np.maximum(asked, 1e-9),
        group_cost_nano_usd=np.full(groups, 5e6 / groups),
        budget_cost_nano_usd=np.array(budget_cost_nano_usd, dtype=float),
    )
