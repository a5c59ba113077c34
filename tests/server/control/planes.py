"""Configurations and questions that tests of a whole control plane share."""

from collections.abc import Callable

from server.config.schema import Config
from server.control.client import Snapshot
from server.routing.catalog import Cell
from tests.server.control.served import (
    Served,
)
from tests.server.control.told import (
    CODE,
    answered,
    service,
)
from turnout.v1 import control_pb2 as pb
from turnout.v1.admin_pb2 import (
    TrafficClass,
    UpdateClassRequest,
)

BOTH = (answered(CODE, "small", 20), answered(CODE, "large", 20))
# How much of the small model, with priors of 0.8 and 0.95, makes floors of 0.85 and 0.90 before any
# grade: planned with their margins they are 0.8875 and 0.925.
MIX_85, MIX_90 = 5 / 12, 1 / 6
ADDRESSES = ("127.0.0.1:1", "127.0.0.1:2")


def quick() -> Config:
    return service(window_s=0.05)


def share(model: int, cell: Cell = CODE) -> Callable[[Snapshot], float]:
    """Of a cell, what a snapshot gives a model; -1 without a plan for it."""

    def of(snapshot: Snapshot) -> float:
        row = None if snapshot.table is None else snapshot.table.cells.get(cell)
        return -1.0 if row is None else sum(share for index, share, _ in row if index == model)

    return of


def about(expected: float, model: int = 0) -> Callable[[Snapshot], bool]:
    return lambda snapshot: abs(share(model)(snapshot) - expected) < 0.02


async def raise_floor(served: Served, floor: float) -> None:
    request = UpdateClassRequest(traffic_class=TrafficClass(name="code", floor=floor))
    request.update_mask.paths.append("floor")
    await served.admin.UpdateClass(request)


def small_is(ejected: bool) -> list[pb.EndpointStats]:
    return [pb.EndpointStats(model="small", address=a, ejected=ejected) for a in ADDRESSES]
