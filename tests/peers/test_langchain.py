"""LangChain's ChatOpenAI before the door, in the Python that has it."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.peers.running import LANGCHAIN, output
from tests.server.door.front import Front, opened

PROGRAM = """
import json, sys
from langchain_openai import ChatOpenAI

model = ChatOpenAI(base_url=sys.argv[1], api_key="unused", model="auto", max_retries=0)
print(json.dumps([model.invoke("hi").content, [chunk.content for chunk in model.stream("hi")]]))
"""

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("langchain")]


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with opened() as front:
        yield front


async def test_it_asks_whole_and_streamed(front: Front) -> None:
    whole, pieces = json.loads(
        await output(LANGCHAIN / "bin" / "python", "-c", PROGRAM, front.base_url)
    )
    assert whole == "Paris"
    assert "".join(pieces) == "Paris"
