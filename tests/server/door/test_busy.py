"""Models that said when to come back: their callers are told the time, and nobody is asked."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from server.dispatch.exchange import EndpointError
from server.status_code import Code
from tests.server.door.front import PATIENCE_S, Front, opened
from tests.server.door.test_chat import BODY, PATH, STREAMED


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with opened() as front:
        yield front


async def refused(front: Front, body: bytes) -> tuple[int, str, str | None, str | None]:
    """The status, the reason, when to come back, and whether stock clients are kept from it."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with (
        aiohttp.ClientSession(front.url, timeout=timeout) as client,
        client.post(PATH, data=body) as response,
    ):
        reason: str = json.loads(await response.text())["error"]["code"]
        after, should = (response.headers.get(h) for h in ("retry-after", "x-should-retry"))
        return response.status, reason, after, should


@pytest.mark.parametrize("body", [BODY, STREAMED], ids=["whole", "streamed"])
async def test_who_was_refused_is_told_when_to_come_back_and_so_is_who_comes_before(
    front: Front, body: bytes
) -> None:
    slow_down = EndpointError(Code.RESOURCE_EXHAUSTED, "slow down", retry_after_s=7.0)
    front.model.failure = slow_down
    assert await refused(front, body) == (503, "UPSTREAM_RESOURCE_EXHAUSTED", "7", None)
    front.model.failure = None
    assert await refused(front, body) == (429, "MODELS_BUSY", "7", None)
    assert dict(front.counters.refusals())["MODELS_BUSY"] == 1
