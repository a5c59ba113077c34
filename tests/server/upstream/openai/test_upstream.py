"""Requests on their way to an endpoint of OpenAI's protocol, whole and streamed."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from server.dispatch.exchange import Asked, EventStream, Operation, Reply
from server.routing.catalog import Model, compile_catalog
from server.token_usage import TokenUsage
from server.upstream.openai.upstream import OpenAiUpstream
from tests.server.routing.configs import config, model
from tests.server.upstream.openai.endpoint import (
    ANSWER,
    CHUNKS,
    USAGE,
    FakeEndpoint,
    serving,
)

BODY = b'{"model": "auto", "messages": [{"role": "user", "content": "Capital of France?"}]}'


def compiled(**changes: Any) -> Model:
    changed = {"protocol": "openai", "endpoints": [], "upstream_name": "m-1"} | changes
    return compile_catalog(config(model("chat", **changed))).models[0]


CHAT = compiled()


@pytest.fixture
async def endpoint() -> AsyncIterator[FakeEndpoint]:
    made = FakeEndpoint()
    async with serving(made):
        yield made


@pytest.fixture
async def upstream(endpoint: FakeEndpoint) -> AsyncIterator[OpenAiUpstream]:
    made = OpenAiUpstream({}, now_s=asyncio.get_running_loop().time)
    made.track([replace(CHAT, endpoints=(endpoint.url,))])
    yield made
    await made.close()


def asked(body: bytes = BODY, *, streams: bool = False, wants_usage: bool = False) -> Asked:
    return Asked(body, Operation.CHAT, streams, wants_usage)


async def ask(
    upstream: OpenAiUpstream, url: str, body: bytes = BODY, *, timeout_s: float = 20
) -> Reply:
    return await upstream.open_exchange(url, CHAT, asked(body), timeout_s, ())


async def stream(
    upstream: OpenAiUpstream, url: str, *, wants_usage: bool = False, timeout_s: float = 20
) -> EventStream:
    what = asked(streams=True, wants_usage=wants_usage)
    return await upstream.open_stream(url, CHAT, what, timeout_s, ())


async def all_of(opened: EventStream) -> bytes:
    return b"".join([bytes(piece) async for piece in opened.pieces])


async def test_a_request_goes_on_unchanged_but_for_the_model_that_it_is_for(
    upstream: OpenAiUpstream, endpoint: FakeEndpoint
) -> None:
    reply = await ask(upstream, endpoint.url)
    (received,) = endpoint.requests
    assert received.line == "POST /v1/chat/completions HTTP/1.1"
    assert received.body == BODY.replace(b'"auto"', b'"m-1"')
    assert json.loads(bytes(reply.body)) == ANSWER
    assert reply.usage == TokenUsage(input=9, output=2)


async def test_a_stream_comes_as_it_was_sent_without_its_end_and_unasked_usage(
    upstream: OpenAiUpstream, endpoint: FakeEndpoint
) -> None:
    opened = await stream(upstream, endpoint.url)
    assert await all_of(opened) == b"".join(CHUNKS)
    assert opened.usage == TokenUsage(input=9, output=2)
    assert endpoint.requests[0].asked["stream_options"] == {"include_usage": True}


async def test_who_asks_for_usage_gets_it(upstream: OpenAiUpstream, endpoint: FakeEndpoint) -> None:
    opened = await stream(upstream, endpoint.url, wants_usage=True)
    assert await all_of(opened) == b"".join(CHUNKS) + USAGE


async def test_headers_are_plain_and_what_we_need(
    upstream: OpenAiUpstream, endpoint: FakeEndpoint
) -> None:
    metadata = (("traceparent", "00-1-2-01"),)
    await upstream.open_exchange(endpoint.url, CHAT, asked(), 20, metadata)
    headers = endpoint.requests[0].headers
    assert {k: v for k, v in headers.items() if k not in ("host", "content-length")} == {
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "traceparent": "00-1-2-01",
    }


async def test_a_connection_is_kept_from_one_answer_to_the_next(
    upstream: OpenAiUpstream, endpoint: FakeEndpoint
) -> None:
    for _ in range(3):
        await ask(upstream, endpoint.url)
        await all_of(await stream(upstream, endpoint.url))
    assert (endpoint.connections, len(endpoint.requests)) == (1, 6)
