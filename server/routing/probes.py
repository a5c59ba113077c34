"""Probes: audits that try another model than the plan's, drawn before a model is picked.

Probes and what the plan serves are graded apart. A request that the plan serves is in the audit
sample as likely as the rest of the sample makes it, and its grade weighs as many requests. A probe
speaks of nobody but itself, and weighs one.
"""

from server.routing.asked import Asked
from server.routing.catalog import Catalog
from server.routing.health import HealthTracker
from server.routing.selector import Basis, ModelShare, Pick, Probes, Selector


class Prober:
    """Draws probes by the plan in force. No I/O, no dice."""

    def __init__(self, selector: Selector, health: HealthTracker) -> None:
        self._selector = selector
        self._health = health

    def rate(self, asked: Asked, catalog: Catalog) -> float:
        """The part of such requests that are probes."""
        probes = self._open(asked) if self._selector.probed_max else None
        return _audit_rate(asked, catalog) * probes.part if probes else 0.0

    def draw(self, asked: Asked, catalog: Catalog, chance: float) -> tuple[Pick, int] | None:
        """The pick of a probe, and what was blocked for it; None: the request is the plan's.

        `chance` is uniform in [0, 1).
        """
        probes, rate = self._open(asked), self.rate(asked, catalog)
        if probes is None or chance >= rate:
            return None
        blocked = asked.unfit | self._health.down
        model, share, cost_nano_usd = _at(probes, blocked, chance / rate)
        shares = self._selector.table.cells.get(asked.reading.cell, ())
        return Pick(model, share, cost_nano_usd, Basis.PROBE, shares, owed=False), blocked

    def audit_probability(self, asked: Asked, catalog: Catalog) -> float:
        """How likely such a request is audited where the plan serves it."""
        audited, probed = _audit_rate(asked, catalog), self.rate(asked, catalog)
        return (audited - probed) / (1.0 - probed) if probed else audited

    def _open(self, asked: Asked) -> Probes | None:
        """What is tried of the cell, where one of these models is open."""
        probes = self._selector.table.probes.get(asked.reading.cell)
        blocked = asked.unfit | self._health.down
        if probes is None or all(blocked >> model & 1 for model, _, _ in probes.shares):
            return None
        return probes


def _audit_rate(asked: Asked, catalog: Catalog) -> float:
    return catalog.classes[asked.reading.cell.traffic_class].audit_rate


def _at(probes: Probes, blocked: int, at: float) -> ModelShare:
    """The open model at a point of [0, 1)."""
    open_ = [share for share in probes.shares if not blocked >> share[0] & 1]
    left = at * sum(share for _, share, _ in open_)
    for entry in open_[:-1]:
        left -= entry[1]
        if left < 0.0:
            return entry
    return open_[-1]
