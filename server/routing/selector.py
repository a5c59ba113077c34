"""Picks a model for a cell so that even a few requests keep the plan's mix.

No coin is tossed: every (worker, class) and (worker, cell) adds a request's shares to the models'
credits, and the model with the largest class credit + 1/4 cell credit is taken and pays 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from math import inf
from typing import NamedTuple

from server.routing.allotment import allotted
from server.routing.catalog import Cell

CELL_CREDIT_WEIGHT = 0.25
# Cells whose own credit is remembered, half a KB each; those beyond go by their class's alone.
CREDITED_CELLS_MAX = 100_000


# A model's index, its share above 0, and the nano-dollars expected of one request. Plain tuples of
# plain values: the garbage collector stops looking at them, and a plan has tens of thousands.
ModelShare = tuple[int, float, int]
Row = tuple[ModelShare, ...]
CellKey = tuple[str, str, str, str]  # equal to a Cell, and as plain as a row
Credit = dict[int, float]  # by model


class Basis(IntEnum):
    """What a pick rests on; the numbers are those of the wire."""

    PLAN = 1
    CLASS = 2
    GREEDY = 3


@dataclass(frozen=True, slots=True)
class WeightTable:
    """The shares of one plan. Replaced whole, never edited while it is in force."""

    plan_id: str = ""  # empty before the first plan
    cells: dict[CellKey, Row] = field(default_factory=dict)
    classes: Mapping[str, Row] = field(default_factory=dict)  # for cells that the plan lacks


class Pick(NamedTuple):
    """The model taken, and why."""

    model: int
    share: float
    cost_nano_usd: int  # expected of the request
    basis: Basis
    row: Row
    owed: bool  # several models were open and this one was owed most


class Selector:
    """Holds the plan in force and the credits. No I/O, no lock."""

    def __init__(self, *, credited_cells_max: int = CREDITED_CELLS_MAX) -> None:
        self.table = WeightTable()
        self._credited_cells_max = credited_cells_max
        self._class_credit: dict[str, Credit] = {}
        self._cell_credit: dict[Cell, Credit] = {}

    def publish(self, table: WeightTable) -> None:
        """Makes the table the one in force. Credits outlive it, or the mix would start anew."""
        self.table = table  # one assignment: a reader sees the old table or the new, never half

    def pick(self, cell: Cell, blocked: int) -> Pick | None:
        """The model to take of those not blocked (bit m: model m); None if none is open."""
        return self._pick(cell, blocked, self._credits)

    def peek(self, cell: Cell, blocked: int) -> Pick | None:
        """What `pick` would take; no credit is spent."""
        return self._pick(cell, blocked, self._copied_credits)

    def pick_many(self, cell: Cell, blocked: int, count: int) -> list[tuple[Pick, int]]:
        """Who takes how many of so many requests; empty if none is open."""
        row, open_row, basis = self._open_row(cell, blocked)
        if not open_row:
            return []
        if len(open_row) == 1:
            return [(Pick(*open_row[0], basis, row, False), count)]
        of_class, of_cell = self._credits(cell)
        counts = _most_owed_of_many(open_row, of_class, of_cell, count)
        return [
            (Pick(*entry, basis, row, True), taken)
            for entry, taken in zip(open_row, counts, strict=True)
            if taken
        ]

    def _pick(
        self, cell: Cell, blocked: int, credit_of: Callable[[Cell], tuple[Credit, Credit]]
    ) -> Pick | None:
        row, open_row, basis = self._open_row(cell, blocked)
        if not open_row:
            return None
        if len(open_row) == 1:
            model, share, cost = open_row[0]
            return Pick(model, share, cost, basis, row, False)
        of_class, of_cell = credit_of(cell)
        model, share, cost = _most_owed(open_row, of_class, of_cell)
        return Pick(model, share, cost, basis, row, True)

    def _open_row(self, cell: Cell, blocked: int) -> tuple[Row, Row, Basis]:
        """The row that the cell goes by, what is open of it, and what it is."""
        row = self.table.cells.get(cell, ())
        open_row = _open(row, blocked)
        if open_row:
            return row, open_row, Basis.PLAN
        row = self.table.classes.get(cell.traffic_class, ())
        return row, _open(row, blocked), Basis.CLASS

    def _credits(self, cell: Cell) -> tuple[Credit, Credit]:
        """Those of the cell's class and its own, to be spent."""
        of_class = self._class_credit.get(cell[0])
        if of_class is None:
            of_class = self._class_credit[cell[0]] = {}
        of_cell = self._cell_credit.get(cell)
        if of_cell is None:
            of_cell = {}
            if len(self._cell_credit) < self._credited_cells_max:
                self._cell_credit[cell] = of_cell
        return of_class, of_cell

    def _copied_credits(self, cell: Cell) -> tuple[Credit, Credit]:
        of_class = self._class_credit.get(cell.traffic_class, {})
        return of_class.copy(), self._cell_credit.get(cell, {}).copy()


def _open(row: Row, blocked: int) -> Row:
    """The row without the models that are blocked."""
    for entry in row:
        if blocked >> entry[0] & 1:
            return tuple([other for other in row if not blocked >> other[0] & 1])
    return row  # most often nothing is blocked, and nothing needs to be built


def _most_owed(open_row: Row, of_class: Credit, of_cell: Credit) -> ModelShare:
    """Gives each model its share of one request, and takes that request from the one it returns."""
    total = 0.0
    for entry in open_row:
        total += entry[1]
    taken, most = open_row[0], -inf
    for entry in open_row:
        model, share, _ = entry
        share /= total
        of_class[model] = class_credit = of_class.get(model, 0.0) + share
        of_cell[model] = cell_credit = of_cell.get(model, 0.0) + share
        owed = class_credit + CELL_CREDIT_WEIGHT * cell_credit
        if owed > most:
            taken, most = entry, owed
    of_class[taken[0]] -= 1.0
    of_cell[taken[0]] -= 1.0
    return taken


def _most_owed_of_many(open_row: Row, of_class: Credit, of_cell: Credit, count: int) -> list[int]:
    """Gives each model its share of so many requests, and takes them from those it returns."""
    total = sum(share for _, share, _ in open_row)
    owed = []
    for model, share, _ in open_row:
        due = share / total * count
        of_class[model] = class_credit = of_class.get(model, 0.0) + due
        of_cell[model] = cell_credit = of_cell.get(model, 0.0) + due
        owed.append((class_credit + CELL_CREDIT_WEIGHT * cell_credit) / (1 + CELL_CREDIT_WEIGHT))
    counts = allotted(owed, count)
    for (model, _, _), taken in zip(open_row, counts, strict=True):
        of_class[model] -= taken
        of_cell[model] -= taken
    return counts
