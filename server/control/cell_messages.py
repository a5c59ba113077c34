"""Cells, and what was counted of them, on the wire between workers, control plane and operators."""

from server.latency_buckets import LATENCY_BUCKETS
from server.routing.catalog import Cell
from server.routing.counters import FIELDS, Counts, Leg
from turnout.v1 import routing_pb2 as pb
from turnout.v1.control_pb2 import CellStats


def to_message(cell: Cell) -> pb.Cell:
    return pb.Cell(
        traffic_class=cell.traffic_class,
        payer=cell.payer,
        domain=cell.domain,
        size_bucket=cell.size_bucket,
        payload_kind=cell.kind,
    )


def from_message(message: pb.Cell) -> Cell:
    return Cell(
        message.traffic_class,
        message.payer,
        message.domain,
        message.size_bucket,
        message.payload_kind,
    )


def cell_stats(leg: Leg, counts: Counts) -> CellStats:
    """Leaves the first model out where it is the model that did the work."""
    first = "" if leg.first == leg.model else leg.first
    cell = to_message(leg.cell)
    return CellStats(cell=cell, first=first, model=leg.model, **counts.values())


def leg_of(stats: CellStats) -> Leg:
    return Leg(from_message(stats.cell), stats.first or stats.model, stats.model)


def counts_of(stats: CellStats) -> Counts:
    """The counts, with as many buckets of latency as we have, however many were sent."""
    counts = Counts(**{name: getattr(stats, name) for name in FIELDS})
    latency = list(stats.latency_counts[:LATENCY_BUCKETS])
    counts.latency_counts = latency + [0] * (LATENCY_BUCKETS - len(latency))
    return counts
