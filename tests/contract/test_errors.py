"""What our servicers raise, with its details, as callers of either transport hear it."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from server.routing import errors
from server.rpc.errors import ErrorAnswering
from tests.contract.caller import TIMEOUT_S, failure, unary
from tests.contract.serving import serving
from tests.server.rpc.service import refusal_of
from turnout.v1 import control_pb2 as pb
from turnout.v1 import control_pb2_grpc


class Raising(control_pb2_grpc.ControlServiceServicer):
    """Raises what it is told to."""

    def __init__(self) -> None:
        self.error: Exception = RuntimeError("nothing was told")

    async def PushStats(self, request: pb.PushStatsRequest, context: object) -> Any:
        raise self.error

    async def Settle(self, request: pb.SettleRequest, context: object) -> Any:
        raise self.error

    async def WatchKeys(
        self, request: pb.WatchKeysRequest, context: object
    ) -> AsyncIterator[pb.WatchKeysResponse]:
        yield pb.WatchKeysResponse(number=1)

    async def WatchPlan(
        self, request: pb.WatchPlanRequest, context: object
    ) -> AsyncIterator[pb.WatchPlanResponse]:
        yield pb.WatchPlanResponse(number=1)
        raise self.error


@pytest.fixture
def raising() -> Raising:
    return Raising()


@pytest.fixture
def reasons() -> Counter[str]:
    return Counter()


@pytest.fixture
async def channel(
    transport: str, raising: Raising, reasons: Counter[str]
) -> AsyncIterator[grpc.aio.Channel]:
    def add(server: grpc.aio.Server) -> None:
        def count(reason: str) -> None:
            reasons[reason] += 1

        ErrorAnswering(server, count).add(
            control_pb2_grpc.add_ControlServiceServicer_to_server, raising
        )

    async with serving(transport, add) as address, grpc.aio.insecure_channel(address) as channel:
        yield channel


async def pushed(channel: grpc.aio.Channel, request: bytes = b"") -> grpc.aio.AioRpcError:
    return await failure(unary(channel, "/turnout.v1.ControlService/PushStats", request))


async def test_an_error_of_ours_has_its_code_reason_and_field(
    channel: grpc.aio.Channel, raising: Raising, reasons: Counter[str]
) -> None:
    raising.error = errors.InvalidRequest("it is no good: ü%", field="context.tenant")
    refusal = refusal_of(await pushed(channel))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.message == "it is no good: ü%"
    assert refusal.fields == ["context.tenant"]
    assert reasons == {refusal.reason: 1}


async def test_an_error_that_passes_says_when_to_come_back(
    channel: grpc.aio.Channel, raising: Raising
) -> None:
    raising.error = errors.NotReady("the worker starts")
    refusal = refusal_of(await pushed(channel))
    assert refusal.code is grpc.StatusCode.UNAVAILABLE
    assert refusal.retry_s == 1.0


async def test_an_unexpected_error_tells_nothing(
    channel: grpc.aio.Channel, raising: Raising
) -> None:
    raising.error = RuntimeError("secret")
    refusal = refusal_of(await pushed(channel))
    assert (refusal.code, refusal.message) == (grpc.StatusCode.INTERNAL, "internal error")


async def test_what_is_no_message_is_refused_by_its_reason(channel: grpc.aio.Channel) -> None:
    refusal = refusal_of(await pushed(channel, b"\xff"))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "PAYLOAD_MALFORMED",
    )


async def test_an_error_behind_the_first_response_keeps_its_details(
    channel: grpc.aio.Channel, raising: Raising
) -> None:
    raising.error = errors.NotReady("the worker starts")
    stub = control_pb2_grpc.ControlServiceStub(channel)
    call = stub.WatchPlan(pb.WatchPlanRequest(), timeout=TIMEOUT_S)
    first = await call.read()
    assert isinstance(first, pb.WatchPlanResponse)
    assert first.number == 1
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert refusal_of(raised.value).code is grpc.StatusCode.UNAVAILABLE
