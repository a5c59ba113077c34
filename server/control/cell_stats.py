"""The counts of a leg on the wire: what workers write and the control plane reads."""

from server.routing.catalog import Cell
from server.routing.counters import FIELDS, LATENCY_BUCKETS, Counts, Leg
from turnout.v1.control_pb2 import CellStats
from turnout.v1.routing_pb2 import Cell as CellMessage


def cell_stats(leg: Leg, counts: Counts) -> CellStats:
    """A first model that is the model itself goes without saying."""
    first = "" if leg.first == leg.model else leg.first
    cell = CellMessage(**leg.cell._asdict())
    return CellStats(cell=cell, first=first, model=leg.model, **counts.values())


def leg_of(stats: CellStats) -> Leg:
    cell = stats.cell
    return Leg(
        Cell(cell.traffic_class, cell.payer, cell.domain, cell.size_bucket),
        stats.first or stats.model,
        stats.model,
    )


def counts_of(stats: CellStats) -> Counts:
    """As many buckets as we count in, however many were sent."""
    counts = Counts(**{name: getattr(stats, name) for name in FIELDS})
    latency = list(stats.latency_counts[:LATENCY_BUCKETS])
    counts.latency_counts = latency + [0] * (LATENCY_BUCKETS - len(latency))
    return counts
