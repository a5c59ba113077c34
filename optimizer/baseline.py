"""What the window would cost with the most accurate model alone."""

from dataclasses import dataclass

import numpy as np

from optimizer.mix import nominal_demand
from optimizer.problem import Problem


@dataclass(frozen=True, slots=True)
class BestModel:
    """The most accurate single model; a cell that may not use it takes the next most accurate."""

    name: str
    cost_nano_usd: float  # of the window, capacity aside
    accuracy: float  # over all demand, 0 to 1


def best_model(problem: Problem) -> BestModel:
    """Ranks models by accuracy over all demand, and equally accurate ones by cost."""
    demand = nominal_demand(problem)
    by_model = demand @ problem.accuracy
    ranking = np.lexsort((demand @ problem.cost_nano_usd, -by_model))
    ranked = problem.allowed[:, ranking]
    chosen = ranking[ranked.argmax(axis=1)]
    cells = np.arange(chosen.size)
    most_used = np.bincount(chosen, demand, len(problem.models)).argmax()
    return BestModel(
        problem.models[most_used],
        float(problem.demand @ problem.cost_nano_usd[cells, chosen]),
        float(demand @ problem.accuracy[cells, chosen]) / (float(demand.sum()) or 1.0),
    )
