"""What each of these tests speaks through."""

from collections.abc import AsyncIterator

import pytest

from tests.conformance.peer import Peer, connected


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """A connection on which both have said their SETTINGS."""
    async with connected() as peer:
        await peer.greet()
        yield peer
