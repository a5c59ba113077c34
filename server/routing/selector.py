"""Picks a model for a cell so that even a few requests keep the plan's mix.

No coin is tossed: every (worker, class) and (worker, cell) adds a request's shares to the models'
credits, and the model with the largest class credit + 1/4 cell credit is taken and pays 1.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from server.routing.catalog import Cell

CELL_CREDIT_WEIGHT = 0.25
# Cells whose own credit is remembered, half a KB each; those beyond go by their class's alone.
CREDITED_CELLS_MAX = 100_000


class ModelShare(NamedTuple):
    """What the plan gives one model of a cell."""

    model: int
    share: float  # above 0
    cost_nano_usd: int  # expected, of one request


Row = tuple[ModelShare, ...]
Credit = defaultdict[int, float]  # by model


class Basis(IntEnum):
    """What a pick rests on; the numbers are those of the wire."""

    PLAN = 1
    CLASS = 2
    GREEDY = 3


@dataclass(frozen=True, slots=True)
class WeightTable:
    """The shares of one plan. Replaced whole, never edited."""

    plan_id: str = ""  # empty before the first plan
    cells: Mapping[Cell, Row] = field(default_factory=dict)
    classes: Mapping[str, Row] = field(default_factory=dict)  # for cells that the plan lacks


class Pick(NamedTuple):
    """The model taken, and why."""

    share: ModelShare
    basis: Basis
    row: Row
    owed: bool  # several models were open and this one was owed most


class Selector:
    """Holds the plan in force and the credits. No I/O, no lock."""

    def __init__(self, *, credited_cells_max: int = CREDITED_CELLS_MAX) -> None:
        self.table = WeightTable()
        self._credited_cells_max = credited_cells_max
        self._class_credit: defaultdict[str, Credit] = defaultdict(_no_credit)
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

    def _pick(
        self, cell: Cell, blocked: int, credit_of: Callable[[Cell], tuple[Credit, Credit]]
    ) -> Pick | None:
        row, basis = self.table.cells.get(cell, ()), Basis.PLAN
        open_row = [entry for entry in row if not blocked >> entry.model & 1]
        if not open_row:
            row, basis = self.table.classes.get(cell.traffic_class, ()), Basis.CLASS
            open_row = [entry for entry in row if not blocked >> entry.model & 1]
        if not open_row:
            return None
        if len(open_row) == 1:
            return Pick(open_row[0], basis, row, owed=False)
        return Pick(_most_owed(open_row, *credit_of(cell)), basis, row, owed=True)

    def _credits(self, cell: Cell) -> tuple[Credit, Credit]:
        """Those of the cell's class and its own, to be spent."""
        of_cell = self._cell_credit.get(cell)
        if of_cell is None:
            of_cell = _no_credit()
            if len(self._cell_credit) < self._credited_cells_max:
                self._cell_credit[cell] = of_cell
        return self._class_credit[cell.traffic_class], of_cell

    def _copied_credits(self, cell: Cell) -> tuple[Credit, Credit]:
        of_class = self._class_credit.get(cell.traffic_class, _no_credit())
        return of_class.copy(), self._cell_credit.get(cell, _no_credit()).copy()


def _no_credit() -> Credit:
    return defaultdict(float)


def _most_owed(open_row: list[ModelShare], of_class: Credit, of_cell: Credit) -> ModelShare:
    """Gives each model its share of one request, and takes that request from the one it returns."""
    total = sum([entry.share for entry in open_row])
    taken, most = open_row[0], float("-inf")
    for entry in open_row:
        model, share = entry.model, entry.share / total
        of_class[model] += share
        of_cell[model] += share
        owed = of_class[model] + CELL_CREDIT_WEIGHT * of_cell[model]
        if owed > most:
            taken, most = entry, owed
    of_class[taken.model] -= 1.0
    of_cell[taken.model] -= 1.0
    return taken
