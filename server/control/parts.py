"""The plan as workers take it: shares by cell, in parts that are small to read."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.problem import Floats
from optimizer.solution import Solution
from server.control.cell_messages import to_message
from server.control.plan import SHARE_MIN
from server.control.window import Window
from server.routing.catalog import Cell
from turnout.v1 import control_pb2 as pb

# A worker reads a part in less than half a millisecond, and its other calls wait that long.
PART_CELLS_MAX = 100

Row = tuple[tuple[int, float, int], ...]  # index of the model, share, nano-dollars a request


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of one plan."""

    models: tuple[str, ...]
    cells: Mapping[Cell, Row]
    classes: Mapping[str, Row]  # for cells that the plan does not know

    def nearly(self) -> object:
        """Equal for plans that route alike: shares to 4 digits, costs to 2."""
        cells = {cell: _nearly(row) for cell, row in self.cells.items()}
        return self.models, cells, {name: _nearly(row) for name, row in self.classes.items()}


def shares_of(window: Window, solution: Solution) -> Shares:
    """What is served of each cell, by model; a cell that is shed whole has none."""
    problem = window.problem
    cells = {
        cell: row
        for i, cell in enumerate(window.cells)
        if (row := _row(solution.shares[i], problem.cost_nano_usd[i]))
    }
    return Shares(problem.models, cells, dict(_classes(window, solution)))


def parts_of(plan_id: str, shares: Shares) -> tuple[pb.WatchPlanResponse, ...]:
    """At least one; together they hold every cell and class."""
    cells = list(shares.cells.items())
    parts = []
    for start in range(0, max(len(cells), 1), PART_CELLS_MAX):
        part = pb.WatchPlanResponse(plan_id=plan_id, models=shares.models)
        for cell, row in cells[start : start + PART_CELLS_MAX]:
            part.cells.add(cell=to_message(cell), shares=_messages(row))
        parts.append(part)
    for name, row in shares.classes.items():
        parts[0].classes.add(traffic_class=name, shares=_messages(row))
    return tuple(parts)


def _classes(window: Window, solution: Solution) -> Iterator[tuple[str, Row]]:
    """The mix of each class over its cells, weighed by their demand."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, cell in enumerate(window.cells):
        members[cell.traffic_class].append(i)
    for name, indexes in members.items():
        demand = window.problem.demand[indexes]
        # A class without demand goes by the plain mean of its cells.
        weight = demand if demand.any() else np.ones(len(indexes))
        served = weight[:, np.newaxis] * solution.shares[indexes]
        cost = (served * window.problem.cost_nano_usd[indexes]).sum(axis=0)
        by_model = served.sum(axis=0)
        row = _row(by_model / weight.sum(), cost / np.maximum(by_model, np.finfo(float).tiny))
        if row:
            yield name, row


def _row(shares: Floats, cost_nano_usd: Floats) -> Row:
    """The models that matter, their shares adding up to 1."""
    kept = np.flatnonzero(shares > SHARE_MIN)
    total = shares[kept].sum()
    return tuple((int(m), float(shares[m] / total), round(cost_nano_usd[m])) for m in kept)


def _messages(row: Row) -> Sequence[pb.ModelShare]:
    return [pb.ModelShare(model=m, share=share, cost_nano_usd=cost) for m, share, cost in row]


def _nearly(row: Row) -> object:
    return [(m, round(share, 4), f"{cost:.1e}") for m, share, cost in row]
