"""Embeddings through the door, asked by OpenAI's client and by hand."""

import json
from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest

from server.dispatch.exchange import EMBEDDINGS
from tests.server.door.front import Front, opened

VECTORS = (
    b'{"object":"list","model":"v","data":[{"object":"embedding","index":0,"embedding":[0.5,1]}],'
)
VECTORS += b'"usage":{"prompt_tokens":9,"total_tokens":9}}'


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with opened() as front:
        front.model.answer = VECTORS
        yield front


async def test_a_model_of_embeddings_is_asked_and_no_other(front: Front) -> None:
    async with openai.AsyncOpenAI(base_url=front.base_url, api_key="unused") as client:
        raw = await client.embeddings.with_raw_response.create(
            model="auto", input=["a cat", "a dog"], encoding_format="float"
        )
        assert raw.headers["x-turnout-model"] == "vectors"
        assert raw.headers["x-turnout-cost-usd"].startswith("0.0000")
        assert raw.parse().data[0].embedding == [0.5, 1]
    (asked,) = front.model.asked
    assert asked.operation is EMBEDDINGS
    assert json.loads(bytes(asked.body))["input"] == ["a cat", "a dog"]


@pytest.mark.parametrize(
    ("fields", "reason", "param"),
    [
        ({"input": []}, "PAYLOAD_MALFORMED", "input"),
        ({"input": ["a", 5]}, "PAYLOAD_MALFORMED", "input[1]"),
        ({"input": "a", "model": "ada-002"}, "CLASS_UNKNOWN", "model"),
    ],
)
async def test_what_is_no_input_is_refused_by_its_place(
    front: Front, fields: dict[str, object], reason: str, param: str
) -> None:
    body = json.dumps({"model": "auto", **fields}).encode()
    async with aiohttp.request("POST", f"{front.base_url}/embeddings", data=body) as response:
        error = (await response.json())["error"]
    assert (error["code"], error["param"]) == (reason, param)
    assert front.model.asked == []


async def test_many_texts_are_read_beside_the_loop(front: Front) -> None:
    body = json.dumps({"model": "auto", "input": 1_000 * ["what a cat says to a dog"]}).encode()
    async with aiohttp.request("POST", f"{front.base_url}/embeddings", data=body) as response:
        assert (response.status, await response.read()) == (200, VECTORS)
