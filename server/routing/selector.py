"""Picks a model for a cell so that even a few requests keep the plan's mix.

No coin is tossed: every (worker, class) and (worker, cell) adds a request's shares to the models'
credits, and the model with the largest class credit + 1/4 cell credit is taken and pays 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from math import inf
from typing import NamedTuple

from server.routing.allotment import allotted
from server.routing.catalog import Cell, bits

CELL_CREDIT_WEIGHT = 0.25
# How many cells have a credit of their own, half a KB each; cells beyond use their class's alone.
CREDITED_CELLS_MAX = 100_000
# Likewise classes: those of two configurations. Those beyond are of configurations long ago.
CREDITED_CLASSES_MAX = 2_000
# How many (cell, blocked models) pairs a plan prepares picks for, a KB each. A request of another
# pair takes some microseconds more. Dropping them all with a plan must not hold the loop.
OPENED_MAX = 1_000


# A model's index, its share above 0, and the nano-dollars expected of one request. Plain tuples of
# plain values: the garbage collector stops looking at them, and a plan has tens of thousands.
ModelShare = tuple[int, float, int]
ModelShares = tuple[ModelShare, ...]  # of a cell or of a class; the shares are 1 in all
CellKey = tuple[str, str, str, str, str]  # equal to a Cell, and as plain as the shares
KindKey = tuple[str, str]  # class and kind of payload
Shed = tuple[float, str]  # the part of the requests that is refused, above 0, and what binds
Credit = dict[int, float]  # by model


class Basis(IntEnum):
    """What a pick rests on; the numbers are those of the wire."""

    PLAN = 1
    CLASS = 2
    GREEDY = 3
    PROBE = 4


class Probes(NamedTuple):
    """What audits of one cell try instead of what the plan gives it."""

    part: float  # of the class's audit sample, above 0 and below 1
    shares: ModelShares  # of the models that are tried, adding up to 1


@dataclass(frozen=True, slots=True)
class WeightTable:
    """How one plan shares out what it serves, and what it sheds.

    Replaced whole, never edited while it is in force.
    """

    plan_id: str = ""  # empty before the first plan
    cells: dict[CellKey, ModelShares] = field(default_factory=dict)
    # For cells that the plan lacks.
    classes: Mapping[str, ModelShares] = field(default_factory=dict)
    # Holds only cells that are shed; a cell that is shed whole has no shares.
    shed: dict[CellKey, Shed] = field(default_factory=dict)
    kinds_shed: Mapping[KindKey, Shed] = field(default_factory=dict)  # for cells it lacks
    probes: dict[CellKey, Probes] = field(default_factory=dict)
    # Expected of an answer, by model: of cells that have shares of it, and of classes.
    output_tokens: Mapping[CellKey | str, Mapping[int, int]] = field(default_factory=dict)

    def expected_tokens(self, cell: Cell, model: int) -> int | None:
        """How many tokens the model writes in answer to such a request; None: nothing is known."""
        of_cell = self.output_tokens.get(cell, {}).get(model)
        if of_cell is not None:
            return of_cell
        return self.output_tokens.get(cell.traffic_class, {}).get(model)

    def planned(self, cell: Cell, open_: int) -> int:
        """Which of the open models the cell has shares of, as bits; 0 if it has of none."""
        found = self.cells.get(cell, ()), self.classes.get(cell.traffic_class, ())
        of_cell, of_class = (bits(model for model, _, _ in shares) & open_ for shares in found)
        return of_cell or of_class


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """The model that was picked, and why. Requests with the same pick share one object."""

    model: int
    share: float
    cost_nano_usd: int  # expected of the request
    basis: Basis
    shares: ModelShares  # that it was picked by
    owed: bool  # several models were open, and this one was furthest below its share


class _Part(NamedTuple):
    """Which part of a request one open model gets; the parts of a cell add up to 1."""

    model: int
    part: float
    pick: Pick


class _Opened(NamedTuple):
    """What a cell may be given while some models are blocked."""

    parts: tuple[_Part, ...]
    of_class: Credit  # spent only where several models are open
    of_cell: Credit


class Selector:
    """Holds the plan in force and the credits. No I/O, no lock."""

    def __init__(
        self,
        *,
        credited_cells_max: int = CREDITED_CELLS_MAX,
        credited_classes_max: int = CREDITED_CLASSES_MAX,
    ) -> None:
        self.table = WeightTable()
        self.probed_max = 0.0  # no cell has more of its audits probe
        self._credited_cells_max = credited_cells_max
        self._credited_classes_max = credited_classes_max
        self._class_credit: dict[str, Credit] = {}
        self._cell_credit: dict[Cell, Credit] = {}
        self._opened: dict[tuple[Cell, int], _Opened] = {}  # of the plan in force

    def publish(self, table: WeightTable) -> None:
        """Puts a table in force. Credits outlive it, or the mix would start anew."""
        self.table = table  # one assignment: a reader sees the old table or the new, never half
        self._opened = {}
        self.probed_max = max((probes.part for probes in table.probes.values()), default=0.0)

    def pick(self, cell: Cell, blocked: int) -> Pick | None:
        """The model to take of those not blocked (bit m: model m); None if none is open."""
        opened = self._opened.get((cell, blocked)) or self._open(cell, blocked)
        return None if opened is None else _most_owed(opened)

    def is_open(self, cell: Cell, blocked: int) -> bool:
        """Whether `pick` would find a model."""
        return bool(self._opened.get((cell, blocked)) or self._parts(cell, blocked))

    def peek(self, cell: Cell, blocked: int) -> Pick | None:
        """What `pick` would return; this spends no credit."""
        parts = self._parts(cell, blocked)
        if not parts:
            return None
        of_class = self._class_credit.get(cell.traffic_class, {})
        of_cell = self._cell_credit.get(cell, {})
        return _most_owed(_opened(parts, of_class.copy(), of_cell.copy()))

    def pick_many(self, cell: Cell, blocked: int, count: int) -> list[tuple[Pick, int]]:
        """How many of so many requests each model takes; empty if no model is open."""
        opened = self._opened.get((cell, blocked)) or self._open(cell, blocked)
        if opened is None:
            return []
        # One is picked as `pick` does: rounding could change which of two equals comes first.
        return [(_most_owed(opened), 1)] if count == 1 else _most_owed_of_many(opened, count)

    def _open(self, cell: Cell, blocked: int) -> _Opened | None:
        """Prepares what the cell may be given; None if no model is open."""
        parts = self._parts(cell, blocked)
        if not parts:
            return None
        of_class, of_cell = self._credits(cell) if len(parts) > 1 else ({}, {})
        opened = _opened(parts, of_class, of_cell)
        lasts = len(parts) == 1 or cell in self._cell_credit
        if lasts and len(self._opened) < OPENED_MAX:
            self._opened[cell, blocked] = opened
        return opened

    def _credits(self, cell: Cell) -> tuple[Credit, Credit]:
        """The credits of the cell's class and of the cell."""
        of_class = self._class_credit.get(cell.traffic_class)
        if of_class is None:
            if len(self._class_credit) >= self._credited_classes_max:
                del self._class_credit[next(iter(self._class_credit))]
            of_class = self._class_credit[cell.traffic_class] = {}
        of_cell = self._cell_credit.get(cell)
        if of_cell is None:
            of_cell = {}
            if len(self._cell_credit) < self._credited_cells_max:
                self._cell_credit[cell] = of_cell
        return of_class, of_cell

    def _parts(self, cell: Cell, blocked: int) -> tuple[_Part, ...]:
        """The open models of the cell's shares, or else of its class's shares."""
        found = (
            (Basis.PLAN, self.table.cells.get(cell, ())),
            (Basis.CLASS, self.table.classes.get(cell.traffic_class, ())),
        )
        for basis, shares in found:
            entries = [entry for entry in shares if not blocked >> entry[0] & 1]
            if entries:
                total = sum(share for _, share, _ in entries)
                picks = [Pick(*entry, basis, shares, len(entries) > 1) for entry in entries]
                return tuple([_Part(pick.model, pick.share / total, pick) for pick in picks])
        return ()


def _opened(parts: tuple[_Part, ...], of_class: Credit, of_cell: Credit) -> _Opened:
    """Prepares a pick; every open model has a credit from now on."""
    for model, _, _ in parts:
        of_class.setdefault(model, 0.0)
        of_cell.setdefault(model, 0.0)
    return _Opened(parts, of_class, of_cell)


def _most_owed(opened: _Opened) -> Pick:
    """Gives each model its part of one request, and takes that request from the one it returns."""
    parts, of_class, of_cell = opened
    taken = parts[0]
    if len(parts) == 1:
        return taken.pick
    most = -inf
    for entry in parts:
        model, part, _ = entry
        of_class[model] = class_credit = of_class[model] + part
        of_cell[model] = cell_credit = of_cell[model] + part
        owed = class_credit + CELL_CREDIT_WEIGHT * cell_credit
        if owed > most:
            taken, most = entry, owed
    of_class[taken.model] -= 1.0
    of_cell[taken.model] -= 1.0
    return taken.pick


def _most_owed_of_many(opened: _Opened, count: int) -> list[tuple[Pick, int]]:
    """Gives each model its part of so many requests, and takes from each how many it gets."""
    parts, of_class, of_cell = opened
    if len(parts) == 1:
        return [(parts[0].pick, count)]
    owed = []
    for model, part, _ in parts:
        of_class[model] = class_credit = of_class[model] + part * count
        of_cell[model] = cell_credit = of_cell[model] + part * count
        owed.append((class_credit + CELL_CREDIT_WEIGHT * cell_credit) / (1 + CELL_CREDIT_WEIGHT))
    counts = allotted(owed, count)
    for (model, _, _), taken in zip(parts, counts, strict=True):
        of_class[model] -= taken
        of_cell[model] -= taken
    return [(part.pick, taken) for part, taken in zip(parts, counts, strict=True) if taken]
