"""Each test of this folder runs on both transports, in the loop that workers use."""

from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable, Mapping

import grpc
import pytest
import uvloop

from tests.contract.service import TestService
from tests.contract.serving import TRANSPORTS, serving


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def service() -> TestService:
    return TestService()


@pytest.fixture
async def channel(transport: str, service: TestService) -> AsyncIterator[grpc.aio.Channel]:
    def add(server: grpc.aio.Server) -> None:
        server.add_generic_rpc_handlers((service.handlers(),))

    async with (
        serving(transport, add) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield channel
