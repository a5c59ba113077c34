"""A small service and what its workers and callers say, for the tests of this folder."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from server.config.schema import Config
from server.control.cell_messages import to_message
from server.control.update_log import Author
from server.latency_buckets import LATENCY_BUCKETS
from server.routing.catalog import Cell
from server.routing.decision_id import Kind, Sealer
from turnout.v1 import control_pb2 as pb
from turnout.v1 import routing_pb2

KEY = b"k" * 32
AUTHOR = Author("uid 1000", "anna")
CODE = Cell("code", "team", "other", "s0")
CHAT = Cell("chat", "-", "other", "s0")
# Tuesday, 2024-07-02 10:30:00 UTC.
NOW_S = 1_719_916_200.0

SMALL = {
    "name": "small",
    "protocol": "oip",
    "endpoints": ("127.0.0.1:1", "127.0.0.1:2"),
    "price": {"request_usd": 0.001},
    "prior_accuracy": 0.8,
}
LARGE = {
    "name": "large",
    "protocol": "oip",
    "endpoints": ("127.0.0.1:3",),
    "price": {"request_usd": 0.010},
    "prior_accuracy": 0.95,
}


def service(**changes: Any) -> Config:
    """Two models; a class with a floor, an SLO and a budget; a class with nothing."""
    return Config.model_validate(
        {
            "window_s": 5.0,
            "models": (SMALL, LARGE),
            "classes": (
                {
                    "name": "code",
                    "floor": 0.85,
                    "grades": "caller",
                    "audit_rate": 0.5,
                    "slo": {"ms": 100.0, "fraction": 0.9},
                },
                {"name": "chat", "default": True},
            ),
            "budgets": (
                {
                    "name": "team",
                    "scope": {"traffic_class": "code"},
                    "amount_usd": 240.0,
                    "period": "day",
                },
            ),
        }
        | changes
    )


def cell_message(cell: Cell) -> routing_pb2.Cell:
    return to_message(cell)


def stats(cell: Cell, model: str, **counts: Any) -> pb.CellStats:
    return pb.CellStats(cell=cell_message(cell), model=model, **counts)


def answered(cell: Cell, model: str, count: int, bucket: int = 20) -> pb.CellStats:
    """So many requests of Infer, each decided and answered by the model within 3.2 ms."""
    latency = [0] * LATENCY_BUCKETS
    latency[bucket] = count
    return stats(
        cell,
        model,
        decided=count,
        ended=count,
        completed=count,
        attempts=count,
        answered=count,
        busy_s=count * 0.003,
        cost_nano_usd=count * 1_000_000,
        latency_counts=latency,
    )


def push(
    *cells: pb.CellStats,
    sequence: int = 1,
    worker: str = "w0",
    boot: str = "b0",
    endpoints: Sequence[pb.EndpointStats] = (),
    refusals: Sequence[pb.RefusalStats] = (),
    listener: pb.ListenerStats | None = None,
    began_epoch: int = 0,
    epoch: int = 0,
    more: bool = False,
    limits_reached: Mapping[str, int] = MappingProxyType({}),
) -> pb.PushStatsRequest:
    return pb.PushStatsRequest(
        worker=worker,
        boot=boot,
        sequence=sequence,
        cells=cells,
        endpoints=endpoints,
        refusals=refusals,
        listener=listener,
        began_epoch=began_epoch,
        epoch=epoch,
        more=more,
        limits_reached=[pb.LimitStats(limit=k, count=n) for k, n in limits_reached.items()],
    )


def decision_id(
    kind: Kind = Kind.ROUTE,
    *,
    cell: Cell = CODE,
    model: str = "small",
    audit_probability: float = 0.5,
    now_s: float = NOW_S,
    sealer: Sealer | None = None,
) -> str:
    """An id that a worker sealed; a new one with each sealer's call."""
    return (sealer or Sealer(KEY, 1)).seal(
        kind,
        cell,
        (model, ""),
        audit_probability=audit_probability,
        expected_cost_nano_usd=1_000_000,
        now_s=now_s,
    )


def usage(latency_ms: int = 20, *, failed: bool = False) -> routing_pb2.Usage:
    message = routing_pb2.Usage(input_tokens=100, output_tokens=50, failed=failed)
    message.latency.FromMilliseconds(latency_ms)
    return message


def quality(value: float, *, time_s: float | None = None) -> routing_pb2.Feedback:
    message = routing_pb2.Feedback(metric="quality", value=value)
    if time_s is not None:
        message.time.FromNanoseconds(round(time_s * 1e9))
    return message
