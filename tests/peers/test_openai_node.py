"""OpenAI's client for Node before the door."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.peers.running import NODE, PATIENCE_S, output
from tests.server.door.front import Front, opened

pytestmark = [pytest.mark.slow, pytest.mark.needs("node"), pytest.mark.usefixtures("openai_js")]


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with opened() as front:
        yield front


async def told(front: Front, program: str, *case: str) -> Any:
    return json.loads(await output("node", NODE / program, front.base_url, *case))


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("whole", {"said": "Paris", "model": "small"}),
        ("stream", ["Par", "is"]),
        ("refused", {"status": 404, "code": "CLASS_UNKNOWN", "param": "model"}),
        ("models", ["auto", "chat", "strict", "support", "short", "acme", "urgent", "blue"]),
    ],
)
async def test_what_it_makes_of_our_answers(front: Front, case: str, said: object) -> None:
    assert await told(front, "chat.js", case) == said


async def test_a_stream_that_breaks_is_an_error_where_it_breaks(front: Front) -> None:
    front.model.breaks = True
    assert await told(front, "chat.js", "broken") == ["Par", "is", "STREAM_BROKEN"]


async def test_a_client_that_leaves_a_stream_is_noticed(front: Front) -> None:
    front.model.open.clear()
    assert await told(front, "leave.js") == "left"
    async with asyncio.timeout(PATIENCE_S):
        await front.model.cancelled.wait()
