"""Picks among the models that are open to a request: by the plan, or else the first that is fit."""

from server.routing.asked import Asked
from server.routing.catalog import Catalog, nominal_cost_nano_usd
from server.routing.health import HealthTracker
from server.routing.probes import Prober
from server.routing.selector import Basis, Pick, Selector


class Picker:
    """Passes over models that are down; where every candidate is, one has to be asked."""

    def __init__(self, selector: Selector, health: HealthTracker) -> None:
        self._selector = selector
        self._health = health
        self.prober = Prober(selector, health)

    def pick(
        self, asked: Asked, catalog: Catalog, chance: float, *, spend: bool
    ) -> tuple[Pick, int] | None:
        """The pick, and what was blocked for it; None without a candidate.

        `chance`, uniform in [0, 1), says whether it is a probe: none is from 1 on.
        """
        if chance < self._selector.probed_max:
            probe = self.prober.draw(asked, catalog, chance)
            if probe is not None:
                return probe
        choose = self._selector.pick if spend else self._selector.peek
        # What Infer forwards would be refused by who rests; callers of Route may have other keys.
        last = asked.unfit | self._health.resting if asked.forwarded else asked.unfit
        for blocked in (asked.unfit | self._health.down, last):
            pick = choose(asked.reading.cell, blocked) or _greedy(asked, catalog, blocked)
            if pick is not None:
                return pick, blocked
        return None

    def pick_many(
        self, asked: Asked, catalog: Catalog, count: int
    ) -> tuple[list[tuple[Pick, int]], int]:
        """As `pick` does, but for picks that are not the plan's: of those there are none."""
        for blocked in (asked.unfit | self._health.down, asked.unfit):
            picks = self._selector.pick_many(asked.reading.cell, blocked, count)
            if picks or _greedy(asked, catalog, blocked):
                return picks, blocked
        return [], asked.unfit

    def is_planned(self, asked: Asked, catalog: Catalog) -> bool:
        """Whether `pick_many` finds a model for such requests, as far as can be told now."""
        for blocked in (asked.unfit | self._health.down, asked.unfit):
            if self._selector.is_open(asked.reading.cell, blocked):
                return True
            if _greedy(asked, catalog, blocked):
                return False
        return False


def _greedy(asked: Asked, catalog: Catalog, blocked: int) -> Pick | None:
    reading = asked.reading
    greedy = catalog.classes[reading.cell.traffic_class].greedy
    index = next((i for i in greedy if not blocked >> i & 1), None)
    if index is None:
        return None
    cost = nominal_cost_nano_usd(catalog.models[index], reading.input_tokens or None)
    return Pick(index, 1.0, cost, Basis.GREEDY, shares=(), owed=False)
