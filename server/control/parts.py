"""The plan as workers take it: shares and shed by cell, in parts that are small to read."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from optimizer.explore import Exploration
from optimizer.problem import Floats
from optimizer.solution import Solution
from server.control.binding import SHARE_MIN, bindings
from server.control.cell_messages import to_message
from server.control.class_mix import ModelPart, class_mix, class_parts
from server.control.window import Window
from server.routing.catalog import Cell
from server.routing.selector import KindKey, ModelShares, Probes, Shed
from turnout.v1 import control_pb2 as pb

# A worker reads a part in less than half a millisecond, and its other calls wait that long.
PART_CELLS_MAX = 100
_NOTHING = 0.0, ""
_PROBE_STEPS = 50

_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class Shares:
    """How one plan shares out what it serves, and what it sheds."""

    models: tuple[str, ...]
    cells: Mapping[Cell, ModelShares]
    classes: Mapping[str, ModelShares]  # for cells that the plan does not know
    # It has only cells that are shed; one that is shed whole has no shares.
    shed: Mapping[Cell, Shed] = field(default_factory=dict)
    kinds_shed: Mapping[KindKey, Shed] = field(default_factory=dict)  # of such cells
    probes: Mapping[Cell, Probes] = field(default_factory=dict)  # what audits of cells try
    # Expected of an answer of each model, where any writes tokens: of cells, and of classes.
    output_tokens: Mapping[Cell | str, tuple[int, ...]] = field(default_factory=dict)

    def nearly(self) -> object:
        """Equal for plans that route alike: shares and shed to 4 digits, costs to 2.

        What audits try is no part of it: it changes with each window that learns something.
        """
        served = [
            {key: _nearly(shares) for key, shares in by_key.items()}
            for by_key in (self.cells, self.classes)
        ]
        shed = [
            {key: (round(part, 4), why) for key, (part, why) in by_key.items()}
            for by_key in (self.shed, self.kinds_shed)
        ]
        return self.models, served, shed


def shares_of(window: Window, solution: Solution) -> Shares:
    """What is served of each cell, by model, and what is shed of it."""
    problem, cells = window.problem, window.cells
    served = {
        cell: found
        for i, cell in enumerate(cells)
        if (found := _model_shares(solution.shares[i], problem.cost_nano_usd[i]))
    }
    why = bindings(window, solution)
    shed = {
        cell: (float(solution.shed[p]) if cell in served else 1.0, why[p])
        for cell, p in zip(cells, problem.pool_of.tolist(), strict=True)
        if p in why
    }
    kinds_shed = dict(_kinds_shed(window, solution, why, served))
    classes = dict(_classes(window, solution))
    expected = dict(_output_tokens(window))
    return Shares(problem.models, served, classes, shed, kinds_shed, output_tokens=expected)


def probes_of(window: Window, exploration: Exploration) -> Mapping[Cell, Probes]:
    """What audits try, by cell: in hundredths and fiftieths, so that little changes are none."""
    cost_nano_usd, found = window.problem.cost_nano_usd, dict[Cell, Probes]()
    for i in np.flatnonzero(exploration.part).tolist():
        part = round(float(exploration.part[i]), 2)
        shares = np.round(exploration.shares[i] * _PROBE_STEPS) / _PROBE_STEPS
        if part and shares.any():
            found[window.cells[i]] = Probes(part, _model_shares(shares, cost_nano_usd[i]))
    return found


def parts_of(plan_id: str, shares: Shares) -> tuple[pb.WatchPlanResponse, ...]:
    """Cuts a plan into parts, at least one; together they hold every cell and class."""
    cells = list(dict.fromkeys((*shares.cells, *shares.shed)))
    parts = []
    for start in range(0, max(len(cells), 1), PART_CELLS_MAX):
        part = pb.WatchPlanResponse(plan_id=plan_id, models=shares.models)
        for cell in cells[start : start + PART_CELLS_MAX]:
            message = part.cells.add(cell=to_message(cell))
            written = shares.output_tokens.get(cell, ())
            message.shares.extend(_messages(shares.cells.get(cell, ()), written))
            message.shed, message.shed_why = shares.shed.get(cell, _NOTHING)
            if probes := shares.probes.get(cell):
                message.probe_part = probes.part
                message.probes.extend(_messages(probes.shares))
        parts.append(part)
    parts[0].classes.extend(_class_messages(shares))
    return tuple(parts)


def _class_messages(shares: Shares) -> Sequence[pb.ClassShares]:
    names = dict.fromkeys((*shares.classes, *(name for name, _ in shares.kinds_shed)))
    messages = {
        name: pb.ClassShares(
            traffic_class=name,
            shares=_messages(shares.classes.get(name, ())),
            output_tokens=shares.output_tokens.get(name, ()),
        )
        for name in names
    }
    for (name, kind), (part, why) in shares.kinds_shed.items():
        messages[name].shed_kinds.add(payload_kind=kind, shed=part, shed_why=why)
    return list(messages.values())


def _classes(window: Window, solution: Solution) -> Iterator[tuple[str, ModelShares]]:
    """The mix of each class, of what is served."""
    for name, indexes in _members([cell.traffic_class for cell in window.cells]).items():
        mix = class_mix(_model_parts(window, solution, indexes))
        if shares := _class_shares(mix):
            yield name, shares


def _model_parts(
    window: Window, solution: Solution, indexes: Sequence[int]
) -> Iterator[ModelPart[int]]:
    of_class = class_parts(window.problem.demand[indexes].tolist())
    for i, part in zip(indexes, of_class, strict=True):
        shares, cost = solution.shares[i], window.problem.cost_nano_usd[i]
        for m in np.flatnonzero(shares).tolist():
            yield ModelPart(m, part * float(shares[m]), float(cost[m]))


def _class_shares(mix: Sequence[ModelPart[int]]) -> ModelShares:
    """In the order of the models, as those of cells."""
    kept = sorted((part for part in mix if part.share > SHARE_MIN), key=lambda part: part.model)
    total = sum(part.share for part in kept)
    return tuple((part.model, part.share / total, round(part.cost_nano_usd)) for part in kept)


def _kinds_shed(
    window: Window, solution: Solution, why: Mapping[int, str], served_cells: Collection[Cell]
) -> Iterator[tuple[KindKey, Shed]]:
    """What is shed of each kind of payload in a class, with all that binds for any of its payers.

    A kind that the plan has nothing of is not shed: nothing says that its models are full.
    """
    cells = window.cells
    for key, indexes in _members([(cell.traffic_class, cell.kind) for cell in cells]).items():
        of_kind = class_parts(window.problem.demand[indexes].tolist())
        pools = window.problem.pool_of[indexes]
        binds = dict.fromkeys(why[p] for p in pools.tolist() if p in why)
        is_served = any(cells[i] in served_cells for i in indexes)
        part = float(np.dot(of_kind, solution.shed[pools])) if is_served else 1.0
        if binds and part > SHARE_MIN:
            yield key, (part, "; ".join(binds))


def _members(keys: Sequence[_Key]) -> Mapping[_Key, list[int]]:
    """The cells of each key."""
    members: dict[_Key, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        members[key].append(i)
    return members


def _model_shares(shares: Floats, cost_nano_usd: Floats) -> ModelShares:
    """The models that matter, their shares adding up to 1."""
    kept = np.flatnonzero(shares > SHARE_MIN)
    total = shares[kept].sum()
    return tuple((int(m), float(shares[m] / total), round(cost_nano_usd[m])) for m in kept)


def _output_tokens(window: Window) -> Iterator[tuple[Cell | str, tuple[int, ...]]]:
    """Of cells, and of classes as their requests are mixed."""
    expected = window.output_tokens
    if expected.any():
        yield from zip(window.cells, _whole(expected), strict=True)
        for name, indexes in _members([cell.traffic_class for cell in window.cells]).items():
            parts = class_parts(window.problem.demand[indexes].tolist())
            yield name, _whole(np.atleast_2d(np.asarray(parts) @ expected[indexes]))[0]


def _whole(tokens: Floats) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.rint(tokens).astype(np.int64).tolist()]


def _messages(shares: ModelShares, output_tokens: Sequence[int] = ()) -> Sequence[pb.ModelShare]:
    return [
        pb.ModelShare(
            model=m,
            share=share,
            cost_nano_usd=cost,
            output_tokens=output_tokens[m] if output_tokens else 0,
        )
        for m, share, cost in shares
    ]


def _nearly(shares: ModelShares) -> object:
    return [(m, round(share, 4), f"{cost:.1e}") for m, share, cost in shares]
