from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.server.control.served import control_plane, serving
from tests.server.control.told import service
from tests.server.rpc.refusal import refusal
from turnout.v1.control_pb2 import PushStatsRequest, SettleRequest, WatchPlanRequest
from turnout.v1.control_pb2_grpc import ControlServiceStub

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
