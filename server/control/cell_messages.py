"""A cell as the wire has it, between workers, the control plane and operators."""

from server.routing.catalog import Cell
from turnout.v1 import routing_pb2 as pb


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
