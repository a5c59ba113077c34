"""An endpoint by hand, and a channel to it."""

from collections.abc import AsyncIterator

import pytest

from server.transport.channel.channel import Channel
from tests.server.transport.channel.calling import channel_to
from tests.server.transport.channel.raw_peer import Listening, listening


@pytest.fixture
async def server() -> AsyncIterator[Listening]:
    async with listening() as made:
        yield made


@pytest.fixture
async def channel(server: Listening) -> AsyncIterator[Channel]:
    async with channel_to(server) as made:
        yield made
