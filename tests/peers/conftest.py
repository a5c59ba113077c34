"""What each of these tests calls: the service of the contract suite, on our transport alone."""

import os
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.contract.service import TestService
from tests.contract.serving import serving
from tests.peers.running import LANGCHAIN, NODE


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def service() -> TestService:
    return TestService()


@pytest.fixture
async def address(service: TestService) -> AsyncIterator[str]:
    async with serving(
        "turnout", lambda server: server.add_generic_rpc_handlers((service.handlers(),))
    ) as address:
        yield address


@pytest.fixture
def grpc_js() -> None:
    """@grpc/grpc-js, as the lock has it."""
    if not (NODE / "node_modules" / "@grpc" / "grpc-js").is_dir():
        give_up = pytest.fail if "CI" in os.environ else pytest.skip
        give_up("needs `npm ci --prefix tests/peers/node`")


@pytest.fixture
def openai_js() -> None:
    """OpenAI's client for Node, as the lock has it."""
    if not (NODE / "node_modules" / "openai").is_dir():
        give_up = pytest.fail if "CI" in os.environ else pytest.skip
        give_up("needs `npm ci --prefix tests/peers/node`")


@pytest.fixture
def langchain() -> None:
    """LangChain's client, in a Python of its own."""
    if not list(LANGCHAIN.glob("lib/python*/site-packages/langchain_openai")):
        give_up = pytest.fail if "CI" in os.environ else pytest.skip
        give_up("needs `make peers`")
