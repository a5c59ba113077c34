"""Refuses what does not fit, before a model is picked: what is shed, and what finds models full."""

from server.config.schema import Config
from server.routing.asked import Asked
from server.routing.catalog import Cell
from server.routing.counters import Counters
from server.routing.errors import Shed
from server.routing.selector import WeightTable
from server.routing.shedding import Shedder, listed
from server.routing.slices import Slices, turn_of


class Admission:
    """Decides at one worker which requests are refused, and counts them; no I/O, no clock."""

    def __init__(self, counters: Counters, slices: Slices) -> None:
        self.sheds_some = False  # the plan in force sheds some cell
        self._counters = counters
        self._slices = slices
        self._shedder = Shedder()
        self._table = WeightTable()
        self._models: tuple[str, ...] = ()

    def configure(self, config: Config) -> None:
        """Puts a configuration's models and their capacities in force."""
        self._models = tuple(model.name for model in config.models)
        self._slices.tune(
            (index, turn_of(model.name), model.capacity.concurrent)
            for index, model in enumerate(config.models)
            if model.capacity.concurrent is not None
        )

    def publish(self, table: WeightTable) -> None:
        """Puts a plan in force."""
        self._table = table
        self._shedder.publish(table)
        self.sheds_some = self._shedder.is_on

    def sheds(self, cell: Cell) -> bool:
        """Whether the plan refuses some of the cell's requests."""
        return self.sheds_some and self._shedder.shed_of(cell) is not None

    def hold_shed(self, asked: Asked, *, spend: bool) -> None:
        """Raises Shed for each request that the plan refuses."""
        refusal = self.refusal(asked, spend=spend)
        if refusal is not None:
            try:
                raise refusal
            finally:
                del refusal  # or with its traceback, which has this frame, it would be a cycle

    def refusal(self, asked: Asked, *, spend: bool = True) -> Shed | None:
        """Counts a request that the plan refuses, and returns why; None if it does not refuse it.

        What no model could answer is not shed: to come back would not help.
        """
        cell = asked.reading.cell
        if asked.unfit.bit_count() == len(self._models):
            return None
        shed = self._shedder.refuses(cell, asked.tenant, spend=spend)
        if shed is None:
            return None
        if spend:
            self._counters.count_shed(cell)
        return Shed(cell.traffic_class, *shed)

    def within_slices(self, asked: Asked, down: int) -> Asked:
        """Leaves out models that have all they may have; raises Shed if no other is open.

        What the plan sheds of did not fit elsewhere, so no model but those of its shares is open.
        """
        cell, full = asked.reading.cell, self._slices.full
        fit = (1 << len(self._models)) - 1 & ~asked.unfit
        may = fit & ~down or fit  # where all are ejected, one of them has to be asked
        if self.sheds(cell):
            full |= self._slices.nearly_full & self._shedder.spared
            may = self._table.planned(cell, may) or may
        if may and not may & ~full:
            raise self._full(asked, may)
        return asked._replace(unfit=asked.unfit | full)

    def _full(self, asked: Asked, full: int) -> Shed:
        """Counts a request that is refused because these models are full: it is shed too."""
        cell = asked.reading.cell
        self._shedder.pay_ahead(cell, asked.tenant)
        self._counters.count_shed(cell)
        names = [name for index, name in enumerate(self._models) if full >> index & 1]
        return Shed(cell.traffic_class, 0.0, f"capacity of {listed(names)}")
