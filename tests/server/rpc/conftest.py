from collections.abc import AsyncIterator

import pytest

from tests.server.rpc.service import Service, running


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running() as made:
        yield made
