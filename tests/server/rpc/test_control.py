from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest

from server.control.plane import ControlPlane
from server.routing.errors import RoutingError
from server.rpc.control import SETTLED_AT_A_STRETCH, ControlServicer
from tests.server.control.served import control_plane, serving
from tests.server.control.told import service
from tests.server.rpc.refusal import refusal
from turnout.v1.control_pb2 import (
    EndpointStats,
    PushStatsRequest,
    SettleRequest,
    SettleResponse,
    WatchPlanRequest,
)
from turnout.v1.control_pb2_grpc import ControlServiceStub
from turnout.v1.routing_pb2 import Outcome

if TYPE_CHECKING:
    from turnout.v1.control_pb2_grpc import ControlServiceAsyncStub


async def watch(stub: "ControlServiceAsyncStub", protocol: int) -> None:
    async for _ in stub.WatchPlan(WatchPlanRequest(protocol=protocol)):
        pytest.fail("it was answered")


async def push(stub: "ControlServiceAsyncStub", protocol: int) -> None:
    await stub.PushStats(PushStatsRequest(protocol=protocol))


async def settle(stub: "ControlServiceAsyncStub", protocol: int) -> None:
    await stub.Settle(SettleRequest(protocol=protocol))


@pytest.mark.parametrize("protocol", [0, 2])
@pytest.mark.parametrize("call", [watch, push, settle])
async def test_another_protocol_is_refused_with_the_one_that_is_spoken(
    tmp_path: Path, call: Callable[["ControlServiceAsyncStub", int], Awaitable[None]], protocol: int
) -> None:
    plane = control_plane(tmp_path, service(window_s=3_600.0))
    async with serving(plane, tmp_path) as served:
        found = await refusal(call(ControlServiceStub(served.stock_channel), protocol))
    assert found.code is grpc.StatusCode.INVALID_ARGUMENT
    assert found.fields == ["protocol"]
    assert "where 1 is spoken" in found.message


@pytest.mark.parametrize(
    ("method", "data", "field"),
    [
        (ControlServicer.Settle, b"\x12\0" * 1_001, "outcomes"),
        (ControlServicer.PushStats, b"\x2a\0" * 1_001, "cells"),
        (ControlServicer.PushStats, b"\x3a\0" * 1_001, "refusals"),
        (ControlServicer.PushStats, b"\x4a\0" * 1_001, "kept"),
        (ControlServicer.PushStats, b"\x5a\0" * 1_001, "limits_reached"),
        (ControlServicer.PushStats, b"\x32\0" * 100_001, ""),
        (ControlServicer.Settle, b"\x98\x06\0" * 2_000, ""),
    ],
)
async def test_what_is_too_many_is_refused_before_it_is_parsed(
    method: Any, data: bytes, field: str
) -> None:
    nobody = cast(ControlPlane, None)
    unparsable = b"\x08"
    with pytest.raises(RoutingError, match="send") as refused:
        await method(ControlServicer(nobody), data + unparsable, None)
    assert refused.value.field == field


@dataclass(slots=True)
class Turning:
    """A context that counts the turns that it is asked for."""

    turns: int = 0

    async def turn(self) -> None:
        self.turns += 1


async def test_many_outcomes_are_settled_in_stretches(tmp_path: Path) -> None:
    plane, context = control_plane(tmp_path, service(window_s=3_600.0)), Turning()
    outcomes = [Outcome(decision_id="x")] * (SETTLED_AT_A_STRETCH + 1)
    request = SettleRequest(protocol=1, outcomes=outcomes).SerializeToString()
    method: Any = ControlServicer.Settle
    answer = SettleResponse.FromString(await method(ControlServicer(plane), request, context))
    assert len(answer.results) == len(outcomes)
    assert context.turns == 2


async def test_as_many_as_may_be_are_counted(tmp_path: Path) -> None:
    plane = control_plane(tmp_path, service(window_s=3_600.0))
    async with serving(plane, tmp_path) as served:
        stub = ControlServiceStub(served.stock_channel)
        outcomes = [Outcome(decision_id="x" * 200)] * 1_000
        answer = await stub.Settle(SettleRequest(protocol=1, outcomes=outcomes))
        endpoints = [EndpointStats(model="m", address=f"host-{i}:1") for i in range(2_000)]
        await stub.PushStats(
            PushStatsRequest(protocol=1, worker="w0", boot="b", sequence=1, endpoints=endpoints)
        )
    assert len(answer.results) == 1_000
    assert [worker.name for worker in plane.workers()] == ["w0"]
