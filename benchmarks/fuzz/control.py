"""What workers and operators say to the control plane, and what a worker hears of it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, Self, cast

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import DecodeError

from benchmarks.fuzz.files import classifier
from benchmarks.fuzz.loop import TurnLoop
from benchmarks.fuzz.meter import Allowance, Meter
from benchmarks.fuzz.methods import decision_id, octets, outcomes, target
from benchmarks.fuzz.mutate import ANY
from benchmarks.fuzz.planned import CONFIG, control_plane
from benchmarks.fuzz.protobuf import PROTOBUF
from benchmarks.fuzz.targets import Feed, Target
from server.config.as_json import to_json
from server.config.diagnostics import ConfigError
from server.control.client import ControlClient
from server.control.protocol import PROTOCOL
from server.control.reload import Reloads
from server.latency_buckets import LATENCY_BUCKETS
from server.rpc.admin import AdminServicer
from server.rpc.control import ControlServicer
from server.rpc.errors import ErrorAnswering
from server.transport.channel.channel import Channel
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from turnout.v1 import admin_pb2, admin_pb2_grpc, control_pb2_grpc
from turnout.v1 import control_pb2 as pb
from turnout.v1.routing_pb2 import Cell

# Workers and operators are the owner's own: nobody waits for milliseconds there, and what they say
# is held by the size of a message alone. What grows faster than its bytes is found still.
IN_CONTROL = Allowance(stretch_s=0.030, stretch_s_a_kb=0.000_3, bytes_a_byte=64.0)
# A worker reads a configuration in one go, as it comes from its own control plane.
OF_A_PLAN = replace(IN_CONTROL, stretch_s_a_kb=0.001)
# What grpcio's server there takes.
_CONTROL_BYTES_MAX, _ADMIN_BYTES_MAX = 4 * 2**20, 11_000_000


@asynccontextmanager
async def _served(loop: TurnLoop, message_bytes_max: int) -> AsyncIterator[Server]:
    """Both services on our transport, for grpcio's has no part without sockets."""
    with control_plane(loop) as plane:
        server = Server(ServerLimits(message_bytes_max=message_bytes_max), chance=lambda: 0.5)
        answering = ErrorAnswering(cast("grpc.aio.Server", server), plane.count_refusal)
        answering.add(control_pb2_grpc.add_ControlServiceServicer_to_server, ControlServicer(plane))
        answering.add(
            admin_pb2_grpc.add_AdminServiceServicer_to_server,
            AdminServicer(plane, Reloads(plane), version="0"),
        )
        yield server


def _control(loop: TurnLoop) -> AbstractAsyncContextManager[Server]:
    return _served(loop, _CONTROL_BYTES_MAX)


def _admin(loop: TurnLoop) -> AbstractAsyncContextManager[Server]:
    return _served(loop, _ADMIN_BYTES_MAX)


class _Told:
    """Stands for a call of WatchPlan, in which the control plane says these and ends it."""

    def __init__(self, messages: Sequence[bytes]) -> None:
        self._messages = list(messages)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """There is nothing to close."""

    async def send(self, message: bytes) -> None:
        """It is not listened to."""

    def half_close(self) -> None:
        """Nor is the end of it."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for message in self._messages:
            yield message


class _Line:
    """Stands for a channel whose calls are told the same."""

    def __init__(self, messages: Sequence[bytes]) -> None:
        self._messages = messages

    def stream(self, _path: str, *, timeout_s: float | None) -> _Told:  # noqa: ARG002 - a channel's
        return _Told(self._messages)


@asynccontextmanager
async def _plan(_loop: TurnLoop) -> AsyncIterator[Feed]:
    """A part behind one that is sound. What is none ends a worker, which is started again."""
    first = pb.WatchPlanResponse(
        protocol=PROTOCOL, epoch=1, number=1, config_json=to_json(CONFIG), models=["small"]
    ).SerializeToString()

    async def feed(data: bytes, meter: Meter) -> str:
        client = ControlClient(cast(Channel, _Line([first, data])), "w0")
        snapshots = client.snapshots()
        try:
            await anext(snapshots)
            meter.begin(len(data))
            async with asyncio.timeout(1.0):
                snapshot = await anext(snapshots)
            return "a configuration" if snapshot.table is None else "a plan"
        except _NO_PLAN as error:
            return type(error).__name__
        finally:
            meter.loop.end()
            await snapshots.aclose()

    yield feed


# Of a control plane that speaks another protocol, which its version keeps from happening.
_NO_PLAN = (TimeoutError, ValueError, LookupError, ConfigError, DecodeError)

_CELL = Cell(traffic_class="chat", payer="all", domain="other", size_bucket="s0")
_PUSH = pb.PushStatsRequest(
    protocol=PROTOCOL,
    worker="w0",
    boot="b0",
    sequence=1,
    cells=[
        pb.CellStats(
            cell=_CELL, model="small", decided=3, completed=2, attempts=2, busy_s=0.1,
            cost_nano_usd=1_000, latency_counts=[1] * LATENCY_BUCKETS,
        )
    ],
    endpoints=[pb.EndpointStats(model="small", address="127.0.0.1:1", ejected=True)],
    refusals=[pb.RefusalStats(reason="REQUEST_INVALID", count=2)],
    data_address="127.0.0.1:7080",
    kept=[pb.KeptRequest(decision_id=decision_id(), text="a text", domain="law", intent="x")],
    listener=pb.ListenerStats(connections=1, calls=2),
    limits_reached=[pb.LimitStats(limit="pings", count=1)],
)  # fmt: skip
_PARTS = (
    pb.WatchPlanResponse(
        protocol=PROTOCOL, epoch=1, number=2, plan_id="p1", models=["small", "large"],
        cells=[pb.CellShares(cell=_CELL, shares=[pb.ModelShare(model=1, share=1.0)])],
        classes=[pb.ClassShares(traffic_class="chat", shares=[pb.ModelShare(share=0.5)])],
    ),
    pb.WatchPlanResponse(protocol=PROTOCOL, epoch=2, number=1, config_json=to_json(CONFIG)),
)  # fmt: skip
_MODEL = admin_pb2.Model(
    name="small", version="2", protocol="oip", endpoints=["127.0.0.1:1"], enabled=True,
    price=admin_pb2.Price(request_usd=0.001), prior_accuracy=0.9, capabilities=["tools"],
)  # fmt: skip


def _method(name: str, path: str, *messages: Any, admin: bool = False) -> Target:
    one = target(name, path, octets(*messages), server=_admin if admin else _control)
    return replace(one, allowance=IN_CONTROL)


_CONTROL, _ADMIN = "/turnout.v1.ControlService/", "/turnout.v1.AdminService/"
CONTROL = (
    _method("watch plan", f"{_CONTROL}WatchPlan", pb.WatchPlanRequest(protocol=1, worker="w0")),
    _method("push stats", f"{_CONTROL}PushStats", _PUSH),
    _method(
        "settle", f"{_CONTROL}Settle", pb.SettleRequest(protocol=PROTOCOL, outcomes=outcomes())
    ),
    Target("plan", _plan, octets(*_PARTS), (*PROTOBUF, *ANY), OF_A_PLAN),
    _method(
        "update model", f"{_ADMIN}UpdateModel",
        admin_pb2.UpdateModelRequest(model=_MODEL, allow_missing=True),
        admin_pb2.UpdateModelRequest(model=_MODEL, update_mask=FieldMask(paths=["price"])),
        admin=True,
    ),
    _method(
        "update class", f"{_ADMIN}UpdateClass",
        admin_pb2.UpdateClassRequest(
            traffic_class=admin_pb2.TrafficClass(name="chat", floor=0.9),
            update_mask=FieldMask(paths=["floor", "slo"]),
        ),
        admin=True,
    ),
    _method(
        "update budget", f"{_ADMIN}UpdateBudget",
        admin_pb2.UpdateBudgetRequest(budget=admin_pb2.Budget(name="all", amount_usd=3)),
        admin=True,
    ),
    _method(
        "update classifier", f"{_ADMIN}UpdateClassifier",
        admin_pb2.UpdateClassifierRequest(classifier=classifier(), dry_run=True),
        admin=True,
    ),
)  # fmt: skip
