"""Every behaviour is shown on both clients, over a real connection."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.client.both_clients import QUICK, AnyClient, AnyClientClass, settled
from tests.client.contract_server import ContractServicer, serving
from turnout import AsyncClient, Client


@pytest.fixture
def servicer() -> ContractServicer:
    return ContractServicer()


@pytest.fixture
def address(servicer: ContractServicer) -> Iterator[str]:
    with serving(servicer) as address:
        yield address


@pytest.fixture(params=[Client, AsyncClient])
def client_class(request: pytest.FixtureRequest) -> AnyClientClass:
    chosen: AnyClientClass = request.param
    return chosen


@pytest.fixture
async def client(client_class: AnyClientClass, address: str) -> AsyncIterator[AnyClient]:
    client = client_class(address, timeout_s=20, retry=QUICK)
    yield client
    await settled(client.close())
