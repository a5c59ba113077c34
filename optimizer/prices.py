"""What each request costs when every constraint charges for its part."""

from collections.abc import Mapping

import numpy as np

from optimizer.constraints import pin_names
from optimizer.money_rows import money_charges
from optimizer.problem import Floats, Problem, group_labels
from optimizer.programme import Programme
from optimizer.vertex import Vertex


def duals(programme: Programme, vertex: Vertex) -> dict[str, float]:
    """Nano-dollars per natural unit: a correct answer, a miss, a unit of a resource."""
    scaled = vertex.row_prices * programme.cost_scale / programme.row_scale
    pairs = zip(programme.constraints, scaled.tolist(), strict=True)
    return {one.key: price / one.unit for one, price in pairs}


def charged_cost(problem: Problem, prices: Mapping[str, float]) -> Floats:
    """(C, M) nano-dollars a request: its own cost and what the constraints charge for it."""
    charged = problem.cost_nano_usd * (1.0 + _pace_charges(problem, prices))[:, None]
    for resource in problem.resources:
        price = prices.get(f"capacity:{resource.name}", 0.0)
        if price:
            charged += price * resource.use
    charged += _group_charges(problem, prices) + _pin_charges(problem, prices)
    return charged + money_charges(problem, prices)


def _pace_charges(problem: Problem, prices: Mapping[str, float]) -> Floats:
    charges = np.zeros(problem.demand.size)
    for budget in problem.budgets:
        charges += prices.get(f"pace:{budget.name}", 0.0) * budget.cells
    return charges


def _group_charges(problem: Problem, prices: Mapping[str, float]) -> Floats:
    labels = group_labels(problem.groups)
    floor = np.array([group.kept_floor or 0.0 for group in problem.groups])
    miss_max = np.array([group.miss_max or 0.0 for group in problem.groups])
    by_floor = np.array([prices.get(f"floor:{label}", 0.0) for label in labels])
    by_slo = np.array([prices.get(f"slo:{label}", 0.0) for label in labels])
    group = problem.group_of[:, None]
    short: Floats = by_floor[group] * (floor[group] - problem.accuracy)
    late: Floats = by_slo[group] * (problem.miss - miss_max[group])
    return short + late


def _pin_charges(problem: Problem, prices: Mapping[str, float]) -> Floats:
    charges = np.zeros(problem.cost_nano_usd.shape)
    for pin in problem.pins:
        least, most = (prices.get(f"pin:{name}", 0.0) for name in pin_names(problem, pin))
        cells = problem.group_of == pin.group
        here = np.arange(len(problem.models)) == pin.model
        charges[cells] += least * (pin.share_min - here) + most * (here - pin.share_max)
    return charges
