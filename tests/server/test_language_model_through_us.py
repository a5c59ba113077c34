"""`turnout serve` before a real language model: streamed by curl, asked by the stock client."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from tests.language_models import started
from tests.server.openai_service import QUESTION, configured
from tests.server.running import serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PATIENCE_S = 60.0
# Of its words the likeliest each time: it says the same again.
ASKED: Any = {"messages": QUESTION, "max_tokens": 20, "temperature": 0}


@pytest.fixture(scope="module")
def language_model() -> Iterator[str]:
    yield from started()


async def curl(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "curl", "--silent", "--show-error", *arguments, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE_S):
        said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


def body(**fields: object) -> str:
    return json.dumps({"model": "auto", **ASKED, **fields})


async def said_by(url: str, model: str) -> str:
    """What the model says, asked by the stock client."""
    async with openai.AsyncOpenAI(base_url=url, api_key="unused") as client:
        answer = await client.chat.completions.create(model=model, **ASKED)
        said: str = answer.choices[0].message.content
        return said


@pytest.mark.needs("curl")
async def test_curl_streams_from_a_language_model_through_us(
    language_model: str, tmp_path: Path
) -> None:
    async with serving(configured(tmp_path, language_model), tmp_path / "state") as service:
        said = await curl(
            *("-N", "--include", f"http://{service.openai}/v1/chat/completions"),
            *("-d", body(stream=True)),
        )
    head, _, events = said.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200")
    assert "x-turnout-model: smollm2" in head.lower()
    *chunks, cost, done = events.removesuffix("\n\n").split("\n\n")
    pieces = [json.loads(chunk.removeprefix("data: ")) for chunk in chunks]
    words = "".join(p["choices"][0]["delta"].get("content") or "" for p in pieces if p["choices"])
    assert words == await said_by(language_model, "any") != ""
    assert re.fullmatch(r": x-turnout-cost-usd=0\.0000\d+", cost)
    assert done == "data: [DONE]"


async def test_the_stock_client_asks_a_language_model_through_us(
    language_model: str, tmp_path: Path
) -> None:
    async with (
        serving(configured(tmp_path, language_model), tmp_path / "state") as service,
        openai.AsyncOpenAI(base_url=f"http://{service.openai}/v1", api_key="unused") as client,
    ):
        words = await said_by(f"http://{service.openai}/v1", "support")
        assert words == await said_by(language_model, "any") != ""
        stream = await client.chat.completions.create(
            model="auto", stream=True, stream_options={"include_usage": True}, **ASKED
        )
        chunks = [chunk async for chunk in stream]
        assert words == "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert chunks[-1].usage is not None


async def test_a_service_that_stops_sees_a_stream_through(
    language_model: str, tmp_path: Path
) -> None:
    async with (
        serving(configured(tmp_path, language_model), tmp_path / "state") as service,
        aiohttp.ClientSession() as session,
    ):
        url = f"http://{service.openai}/v1/chat/completions"
        data = body(stream=True, max_tokens=100)
        async with session.post(url, data=data) as response:
            await response.content.readuntil(b"\n\n")
            service.process.terminate()
            await service.read_until("draining the door")
            assert (await response.content.read()).endswith(b"data: [DONE]\n\n")


@pytest.fixture(scope="module")
def embedder() -> Iterator[str]:
    yield from started("--embeddings")


async def test_embeddings_come_from_a_model_that_serves_them(embedder: str, tmp_path: Path) -> None:
    path = configured(tmp_path, embedder, serves="embeddings")
    async with (
        serving(path, tmp_path / "state") as service,
        openai.AsyncOpenAI(base_url=f"http://{service.openai}/v1", api_key="unused") as client,
        openai.AsyncOpenAI(base_url=embedder, api_key="unused") as straight,
    ):
        texts = ["a cat", "a dog"]
        ours = await client.embeddings.create(model="auto", input=texts)
        theirs = await straight.embeddings.create(model="any", input=texts)
        assert [one.embedding for one in ours.data] == [one.embedding for one in theirs.data]
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="auto", **ASKED)
        assert refused.value.code == "NO_CANDIDATE"
