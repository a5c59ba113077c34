"""The counts of a leg on the wire: what workers write and the control plane reads."""

from server.control.cell_messages import from_message, to_message
from server.latency_buckets import LATENCY_BUCKETS
from server.routing.counters import FIELDS, Counts, Leg
from turnout.v1.control_pb2 import CellStats


def cell_stats(leg: Leg, counts: Counts) -> CellStats:
    """A first model that is the model itself goes without saying."""
    first = "" if leg.first == leg.model else leg.first
    cell = to_message(leg.cell)
    return CellStats(cell=cell, first=first, model=leg.model, **counts.values())


def leg_of(stats: CellStats) -> Leg:
    return Leg(from_message(stats.cell), stats.first or stats.model, stats.model)


def counts_of(stats: CellStats) -> Counts:
    """As many buckets as we count in, however many were sent."""
    counts = Counts(**{name: getattr(stats, name) for name in FIELDS})
    latency = list(stats.latency_counts[:LATENCY_BUCKETS])
    counts.latency_counts = latency + [0] * (LATENCY_BUCKETS - len(latency))
    return counts
