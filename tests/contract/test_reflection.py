"""A listener describes what it serves, and nothing else that the process knows of."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from server.rpc.reflection import REFLECTION, add_reflection
from server.wire import oip_pb2
from tests.contract.caller import duplex
from tests.contract.serving import serving
from turnout.v1 import admin_pb2, control_pb2, routing_pb2

ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"]
Request = reflection_pb2.ServerReflectionRequest


@pytest.fixture
async def address(transport: str) -> AsyncIterator[str]:
    """Serves reflection as an admin listener does."""
    async with serving(
        transport, lambda server: add_reflection(server, (ADMIN.full_name,))
    ) as address:
        yield address


@pytest.fixture(params=["v1", "v1alpha"])
def reflection(request: pytest.FixtureRequest) -> str:
    """The name of the service, in each of its versions."""
    return f"grpc.reflection.{request.param}.ServerReflection"


async def described(
    address: str, reflection: str, request: Request
) -> reflection_pb2.ServerReflectionResponse:
    """Both versions have these messages."""
    async with grpc.aio.insecure_channel(address) as channel:
        method = f"/{reflection}/ServerReflectionInfo"
        call = duplex(channel, method, [request.SerializeToString()])
        (response,) = [one async for one in call]
    return reflection_pb2.ServerReflectionResponse.FromString(response)


async def test_a_client_of_reflection_can_use_what_is_served(address: str) -> None:
    def methods() -> list[str]:
        with grpc.insecure_channel(address) as channel:
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            service = pool.FindServiceByName(ADMIN.full_name)
            return [f"{one.name}({one.input_type.full_name})" for one in service.methods]

    expected = [f"{one.name}({one.input_type.full_name})" for one in ADMIN.methods]
    assert await asyncio.to_thread(methods) == expected


async def test_both_versions_list_what_is_served_and_themselves(
    address: str, reflection: str
) -> None:
    response = await described(address, reflection, Request(list_services=""))
    listed = [service.name for service in response.list_services_response.service]
    assert sorted(listed) == sorted([ADMIN.full_name, *REFLECTION])


async def test_each_version_describes_itself_by_its_own_names(
    address: str, reflection: str
) -> None:
    response = await described(address, reflection, Request(file_containing_symbol=reflection))
    (data,) = response.file_descriptor_response.file_descriptor_proto
    pool = DescriptorPool()
    pool.AddSerializedFile(data)
    (method,) = pool.FindServiceByName(reflection).methods
    package = reflection.rpartition(".")[0]
    assert method.input_type.full_name == f"{package}.ServerReflectionRequest"
    assert method.output_type.full_name == f"{package}.ServerReflectionResponse"


@pytest.mark.parametrize(
    "symbol",
    [
        control_pb2.DESCRIPTOR.services_by_name["ControlService"].full_name,
        control_pb2.PushStatsRequest.DESCRIPTOR.full_name,
        routing_pb2.DESCRIPTOR.services_by_name["RoutingService"].full_name,
        f"{routing_pb2.DESCRIPTOR.services_by_name['RoutingService'].full_name}.Route",
        oip_pb2.ModelInferRequest.DESCRIPTOR.full_name,
        "",
        "\0",
    ],
)
async def test_what_is_not_served_is_not_found(address: str, reflection: str, symbol: str) -> None:
    response = await described(address, reflection, Request(file_containing_symbol=symbol))
    assert response.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_a_file_of_another_listener_is_not_found(address: str, reflection: str) -> None:
    request = Request(file_by_filename=control_pb2.DESCRIPTOR.name)
    response = await described(address, reflection, request)
    assert response.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_an_imported_file_brings_its_messages_and_not_its_service(
    address: str, reflection: str
) -> None:
    """The admin service speaks of a request's kinds, which stand beside the routing service."""
    request = Request(file_by_filename=routing_pb2.DESCRIPTOR.name)
    response = await described(address, reflection, request)
    files = response.file_descriptor_response.file_descriptor_proto
    assert files
    assert not any(b"RoutingService" in file for file in files)
