"""The stock `openai` client for Python before the door: what it sends, and what it makes of us."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from server.dispatch.exchange import EndpointError
from server.routing.callers import Shown
from server.status_code import Code
from tests.server.door.front import NOW_S, Front, opened
from tests.server.door.test_keys import A, demand_keys, keys

MESSAGES: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with opened() as front:
        yield front


@pytest.fixture
async def client(front: Front) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=front.base_url, api_key="unused", max_retries=0
    ) as client:
        yield client


async def test_a_completion(front: Front, client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="auto", messages=MESSAGES)
    assert answer.choices[0].message.content == "Paris"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 10
    assert answer._request_id  # by which a caller reports


async def test_what_we_say_beside_it(client: openai.AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model="auto", messages=MESSAGES)
    assert raw.headers["x-turnout-model"] == "small"
    assert raw.headers["x-turnout-cost-usd"] == "0.000011"


async def test_a_stream(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
    assert [chunk.choices[0].delta.content async for chunk in stream] == ["Par", "is"]


async def test_the_client_that_blocks(front: Front) -> None:
    def ask() -> list[str | None]:
        with openai.OpenAI(base_url=front.base_url, api_key="unused", max_retries=0) as client:
            answer = client.chat.completions.create(model="auto", messages=MESSAGES)
            stream = client.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
            said = [chunk.choices[0].delta.content for chunk in stream]
            return [answer.choices[0].message.content, *said]

    assert await asyncio.to_thread(ask) == ["Paris", "Par", "is"]


async def test_context_by_extra_headers_and_by_metadata(client: openai.AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model="auto", messages=MESSAGES, extra_headers={"x-turnout-class": "strict"}
    )
    assert "class strict" in raw.headers["x-turnout-reason"]
    raw = await client.chat.completions.with_raw_response.create(
        model="auto", messages=MESSAGES, metadata={"app": "strict"}
    )
    assert "class strict" in raw.headers["x-turnout-reason"]


async def test_errors_are_those_that_it_knows(front: Front, client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert (unknown.value.code, unknown.value.param) == ("CLASS_UNKNOWN", "model")
    with pytest.raises(openai.BadRequestError) as malformed:
        await client.chat.completions.create(model="auto", messages=[])
    assert malformed.value.code == "PAYLOAD_MALFORMED"
    front.model.failure = EndpointError(Code.UNAVAILABLE, "no memory")
    with pytest.raises(openai.InternalServerError) as failed:
        await client.chat.completions.create(model="auto", messages=MESSAGES)
    assert failed.value.code == "UPSTREAM_UNAVAILABLE"


async def test_a_stream_that_breaks_is_an_error_where_it_breaks(
    front: Front, client: openai.AsyncOpenAI
) -> None:
    front.model.breaks = True
    stream = await client.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
    said = [(await anext(stream)).choices[0].delta.content for _ in range(2)]
    with pytest.raises(openai.APIError) as broken:
        await anext(stream)
    assert said == ["Par", "is"]
    assert broken.value.code == "STREAM_BROKEN"


async def test_it_does_not_ask_again_by_itself_where_a_model_may_have_been_paid(
    front: Front,
) -> None:
    front.model.failure = EndpointError(Code.UNAVAILABLE, "no memory")
    async with openai.AsyncOpenAI(base_url=front.base_url, api_key="unused") as client:
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="auto", messages=MESSAGES)
    assert front.door.requests == 1


async def test_models(client: openai.AsyncOpenAI) -> None:
    listed = [model.id async for model in client.models.list()]
    assert listed[:2] == ["auto", "chat"]
    assert (await client.models.retrieve("strict")).id == "strict"


async def test_its_key_is_ours_where_keys_are_needed(front: Front) -> None:
    keys(front)
    demand_keys(front)
    async with openai.AsyncOpenAI(base_url=front.base_url, api_key=A, max_retries=0) as client:
        answer = await client.chat.completions.create(model="auto", messages=MESSAGES)
        assert answer.choices[0].message.content == "Paris"


async def test_a_key_that_is_not_good_is_an_error_of_authentication(
    front: Front, client: openai.AsyncOpenAI
) -> None:
    keys(front)
    with pytest.raises(openai.AuthenticationError) as raised:
        await client.chat.completions.create(model="auto", messages=MESSAGES)
    assert raised.value.code == "KEY_UNKNOWN"


async def test_a_class_that_a_key_is_not_for_is_an_error_of_permission(front: Front) -> None:
    keys(front, classes=frozenset({"strict"}))
    async with openai.AsyncOpenAI(base_url=front.base_url, api_key=A, max_retries=0) as client:
        with pytest.raises(openai.PermissionDeniedError) as raised:
            await client.chat.completions.create(model="chat", messages=MESSAGES)
        assert raised.value.code == "KEY_CLASS"


async def test_what_a_key_asks_too_fast_is_asked_again_by_the_client_itself(front: Front) -> None:
    keys(front, requests_per_minute=60_000)
    found = front.router.callers.find(Shown([f"Bearer {A}"]), now_s=NOW_S)
    found.spend(60_000, now_s=NOW_S)
    async with openai.AsyncOpenAI(base_url=front.base_url, api_key=A, max_retries=1) as client:
        with pytest.raises(openai.RateLimitError) as raised:
            await client.chat.completions.create(model="auto", messages=MESSAGES)
    assert raised.value.code == "KEY_RATE"
    assert dict(front.counters.refusals()) == {"KEY_RATE": 2}
