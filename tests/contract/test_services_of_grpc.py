"""Health and reflection, as every gRPC server has them, by clients of grpcio."""

from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha._async import ReflectionServicer

from tests.contract.caller import duplex, failure, response_of, stream_out, unary
from tests.contract.serving import serving

SERVING, NOT_SERVING = (
    health_pb2.HealthCheckResponse.SERVING,
    health_pb2.HealthCheckResponse.NOT_SERVING,
)
NAMES = ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")

add_reflection: Callable[[ReflectionServicer, grpc.aio.Server], None] = (
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server
)


@pytest.fixture
def health() -> HealthServicer:
    return HealthServicer()


@pytest.fixture
async def channel(transport: str, health: HealthServicer) -> AsyncIterator[grpc.aio.Channel]:
    def add(server: grpc.aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        add_reflection(ReflectionServicer(NAMES), server)

    async with serving(transport, add) as address, grpc.aio.insecure_channel(address) as channel:
        yield channel


async def status(channel: grpc.aio.Channel, service: str) -> int:
    request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    answer = await unary(channel, f"/{NAMES[0]}/Check", request)
    return health_pb2.HealthCheckResponse.FromString(answer).status


async def reflected(
    channel: grpc.aio.Channel, request: reflection_pb2.ServerReflectionRequest
) -> reflection_pb2.ServerReflectionResponse:
    """The one response to one request."""
    call = duplex(channel, f"/{NAMES[1]}/ServerReflectionInfo", [request.SerializeToString()])
    responses = [response async for response in call]
    assert len(responses) == 1
    return reflection_pb2.ServerReflectionResponse.FromString(responses[0])


async def test_health_is_checked(channel: grpc.aio.Channel, health: HealthServicer) -> None:
    await health.set("a", NOT_SERVING)
    assert await status(channel, "") == SERVING
    assert await status(channel, "a") == NOT_SERVING


async def test_the_health_of_an_unknown_service_is_not_found(channel: grpc.aio.Channel) -> None:
    request = health_pb2.HealthCheckRequest(service="b").SerializeToString()
    error = await failure(unary(channel, f"/{NAMES[0]}/Check", request))
    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_health_is_watched_until_the_watcher_leaves(
    channel: grpc.aio.Channel, health: HealthServicer
) -> None:
    call = stream_out(channel, f"/{NAMES[0]}/Watch")
    assert health_pb2.HealthCheckResponse.FromString(await response_of(call)).status == SERVING
    await health.set("", NOT_SERVING)
    assert health_pb2.HealthCheckResponse.FromString(await response_of(call)).status == NOT_SERVING
    call.cancel()
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_reflection_lists_services(channel: grpc.aio.Channel) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    response = await reflected(channel, request)
    assert [service.name for service in response.list_services_response.service] == list(NAMES)


async def test_reflection_describes_a_service(channel: grpc.aio.Channel) -> None:
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=NAMES[0])
    response = await reflected(channel, request)
    assert len(response.file_descriptor_response.file_descriptor_proto) == 1
