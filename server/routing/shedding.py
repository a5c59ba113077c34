"""Refuses the part of each cell that the plan sheds: exactly that part, evenly over tenants.

No coin is tossed. Of every request, its cell and its tenant in this cell owe the part that is shed,
and both pay 1 when one is refused. The cell's debt stays within one request, whoever sends: a whole
one is always paid and nothing is paid in advance of it. Between these, the tenant decides that owes
most. Who is refused because a model is full for the moment pays too, so that in all no more is
refused than the plan says, as long as that is enough.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from server.routing.catalog import Cell, bits
from server.routing.selector import Shed, WeightTable

TENANT_WEIGHT = 0.25
DUE = 0.5
# Debts that are remembered, some 300 bytes each. Of a cell that is shed there are as many tenants
# as callers name; the one that was not seen for longest is forgotten, and begins anew.
TENANTS_MAX = 20_000
# As many as a plan has cells, and as many again that go by their class.
CELLS_MAX = 20_000

# Paid in advance, by what was refused for the moment: beyond it, a plan that sheds would hold again
# only after as many requests.
ADVANCE_MAX = 100.0
# How many names a sentence has.
_LISTED_MAX = 3

_Key = TypeVar("_Key", bound=Hashable)


class Debts(Generic[_Key]):
    """How many requests each debtor owes; remembers the most recent debtors."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._debts: OrderedDict[_Key, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._debts)

    def of(self, key: _Key) -> float:
        return self._debts.get(key, 0.0)

    def put(self, key: _Key, debt: float) -> None:
        debts = self._debts
        debts[key] = debt
        debts.move_to_end(key)
        if len(debts) > self._most:
            debts.popitem(last=False)


class Shedder:
    """Holds what the plan in force sheds, and the debts. No I/O, no lock."""

    def __init__(self, *, cells_max: int = CELLS_MAX, tenants_max: int = TENANTS_MAX) -> None:
        self.is_on = False  # whether the plan in force sheds something
        self.spared = 0  # bit m: model m serves a cell of which it sheds nothing
        self._table = WeightTable()
        self._cells = Debts[Cell](cells_max)
        self._tenants = Debts[tuple[Cell, str]](tenants_max)

    def publish(self, table: WeightTable) -> None:
        """Puts a table in force. Debts outlive it, as credits do."""
        self._table = table
        self.is_on = bool(table.shed or table.kinds_shed)
        self.spared = _spared(table) if self.is_on else 0

    def shed_of(self, cell: Cell) -> Shed | None:
        """What the plan sheds of the cell; for a cell that it lacks, of its kind in its class."""
        table = self._table
        shed = table.shed.get(cell)
        if shed is None and cell not in table.cells:
            shed = table.kinds_shed.get((cell.traffic_class, cell.kind))
        return shed

    def refuses(self, cell: Cell, tenant: str, *, spend: bool = True) -> Shed | None:
        """Why this request is refused; None: it is served. Without `spend` nobody owes or pays."""
        shed = self.shed_of(cell)
        if shed is None or shed[0] >= 1.0:
            return shed
        of_cell = self._cells.of(cell) + shed[0]
        of_tenant = self._tenants.of((cell, tenant)) + shed[0]
        is_paid = _is_due(of_cell, of_tenant)
        if spend:
            self._cells.put(cell, of_cell - is_paid)
            self._tenants.put((cell, tenant), of_tenant - is_paid)
        return shed if is_paid else None

    def pay_ahead(self, cell: Cell, tenant: str) -> None:
        """A request of the cell was refused for another reason, and is paid for all the same."""
        shed = self.shed_of(cell)
        if shed is not None and shed[0] < 1.0:
            self._cells.put(cell, max(self._cells.of(cell) - 1.0, -ADVANCE_MAX))
            of_tenant = self._tenants.of((cell, tenant)) - 1.0
            self._tenants.put((cell, tenant), max(of_tenant, -ADVANCE_MAX))


def listed(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c", "a, b, c and 2 more"."""
    *others, last = names
    if len(names) > _LISTED_MAX:
        others, last = list(names[:_LISTED_MAX]), f"{len(names) - _LISTED_MAX} more"
    return f"{', '.join(others)} and {last}" if others else last


def _spared(table: WeightTable) -> int:
    whole = (shares for cell, shares in table.cells.items() if cell not in table.shed)
    return bits({model for shares in whole for model, _, _ in shares})  # a set: most are alike


def _is_due(of_cell: float, of_tenant: float) -> bool:
    return of_cell >= 1.0 or (of_cell >= 0.0 and of_cell + TENANT_WEIGHT * of_tenant >= DUE)
