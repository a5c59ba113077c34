"""The plan as workers take it: shares and shed by cell, in parts that are small to read."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from optimizer.problem import Floats
from optimizer.solution import Solution
from server.control.binding import SHARE_MIN, bindings
from server.control.cell_messages import to_message
from server.control.window import Window
from server.routing.catalog import Cell
from turnout.v1 import control_pb2 as pb

# A worker reads a part in less than half a millisecond, and its other calls wait that long.
PART_CELLS_MAX = 100
_NOTHING = 0.0, ""

Row = tuple[tuple[int, float, int], ...]  # index of the model, share, nano-dollars a request
Shed = tuple[float, str]  # the part of all requests that is refused, and what binds


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of one plan, of what it serves, and what it sheds."""

    models: tuple[str, ...]
    cells: Mapping[Cell, Row]
    classes: Mapping[str, Row]  # for cells that the plan does not know
    # Only of what is shed; what is shed whole has no row.
    shed: Mapping[Cell, Shed] = field(default_factory=dict)
    classes_shed: Mapping[str, Shed] = field(default_factory=dict)

    def nearly(self) -> object:
        """Equal for plans that route alike: shares and shed to 4 digits, costs to 2."""
        rows = [
            {key: _nearly(row) for key, row in by_key.items()}
            for by_key in (self.cells, self.classes)
        ]
        shed = [
            {key: (round(part, 4), why) for key, (part, why) in by_key.items()}
            for by_key in (self.shed, self.classes_shed)
        ]
        return self.models, rows, shed


def shares_of(window: Window, solution: Solution) -> Shares:
    """What is served of each cell, by model, and what is shed of it."""
    problem, cells = window.problem, window.cells
    rows = {
        cell: row
        for i, cell in enumerate(cells)
        if (row := _row(solution.shares[i], problem.cost_nano_usd[i]))
    }
    why = bindings(window, solution)
    shed = {
        cell: (float(solution.shed[g]) if cell in rows else 1.0, why[g])
        for cell, g in zip(cells, problem.group_of.tolist(), strict=True)
        if g in why
    }
    classes = dict(_classes(window, solution))
    return Shares(
        problem.models, rows, classes, shed, dict(_classes_shed(window, solution, why, classes))
    )


def parts_of(plan_id: str, shares: Shares) -> tuple[pb.WatchPlanResponse, ...]:
    """At least one; together they hold every cell and class."""
    cells = list(dict.fromkeys((*shares.cells, *shares.shed)))
    parts = []
    for start in range(0, max(len(cells), 1), PART_CELLS_MAX):
        part = pb.WatchPlanResponse(plan_id=plan_id, models=shares.models)
        for cell in cells[start : start + PART_CELLS_MAX]:
            message = part.cells.add(cell=to_message(cell))
            message.shares.extend(_messages(shares.cells.get(cell, ())))
            message.shed, message.shed_why = shares.shed.get(cell, _NOTHING)
        parts.append(part)
    for name in dict.fromkeys((*shares.classes, *shares.classes_shed)):
        of_class = parts[0].classes.add(traffic_class=name)
        of_class.shares.extend(_messages(shares.classes.get(name, ())))
        of_class.shed, of_class.shed_why = shares.classes_shed.get(name, _NOTHING)
    return tuple(parts)


def _classes(window: Window, solution: Solution) -> Iterator[tuple[str, Row]]:
    """The mix of each class over its cells, weighed by their demand."""
    for name, indexes in _members(window).items():
        weight = _weight(window, indexes)
        served = weight[:, np.newaxis] * solution.shares[indexes]
        cost = (served * window.problem.cost_nano_usd[indexes]).sum(axis=0)
        by_model = served.sum(axis=0)
        row = _row(by_model / weight.sum(), cost / np.maximum(by_model, np.finfo(float).tiny))
        if row:
            yield name, row


def _classes_shed(
    window: Window, solution: Solution, why: Mapping[int, str], rows: Mapping[str, Row]
) -> Iterator[tuple[str, Shed]]:
    """Likewise what is shed; of several payers whatever binds for any."""
    for name, indexes in _members(window).items():
        weight, groups = _weight(window, indexes), window.problem.group_of[indexes]
        binds = dict.fromkeys(why[g] for g in groups.tolist() if g in why)
        part = float(weight @ solution.shed[groups] / weight.sum()) if name in rows else 1.0
        if binds and part > SHARE_MIN:
            yield name, (part, "; ".join(binds))


def _members(window: Window) -> Mapping[str, list[int]]:
    """The cells of each class."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, cell in enumerate(window.cells):
        members[cell.traffic_class].append(i)
    return members


def _weight(window: Window, indexes: Sequence[int]) -> Floats:
    """A class without demand goes by the plain mean of its cells."""
    demand = window.problem.demand[indexes]
    return demand if demand.any() else np.ones(len(indexes))


def _row(shares: Floats, cost_nano_usd: Floats) -> Row:
    """The models that matter, their shares adding up to 1."""
    kept = np.flatnonzero(shares > SHARE_MIN)
    total = shares[kept].sum()
    return tuple((int(m), float(shares[m] / total), round(cost_nano_usd[m])) for m in kept)


def _messages(row: Row) -> Sequence[pb.ModelShare]:
    return [pb.ModelShare(model=m, share=share, cost_nano_usd=cost) for m, share, cost in row]


def _nearly(row: Row) -> object:
    return [(m, round(share, 4), f"{cost:.1e}") for m, share, cost in row]
