"""Requests on their way to an endpoint of OpenAI's protocol, whole and streamed."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from server.dispatch.exchange import Asked, EndpointError, Operation
from server.status_code import Code
from server.token_usage import TokenUsage
from server.transport.held_bytes import HeldBytes
from server.upstream.openai.client import ANSWER_BYTES_MAX
from server.upstream.openai.upstream import OpenAiUpstream
from tests.server.upstream.openai.asking import BODY, Asking, asking, compiled
from tests.server.upstream.openai.endpoint import (
    ANSWER,
    CHUNKS,
    DONE,
    EVENTS,
    USAGE,
    Behaviour,
    FakeEndpoint,
    Received,
    chunked,
    head,
    holding,
    refusing,
    saying,
    serving,
    well,
    whole,
)


@pytest.fixture
async def endpoint() -> AsyncIterator[FakeEndpoint]:
    made = FakeEndpoint()
    async with serving(made):
        yield made


@pytest.fixture
async def asked(endpoint: FakeEndpoint) -> AsyncIterator[Asking]:
    async with asking(endpoint.url) as made:
        yield made


async def test_a_request_goes_on_unchanged_but_for_the_model_that_it_is_for(
    asked: Asking, endpoint: FakeEndpoint
) -> None:
    reply = await asked.whole()
    (received,) = endpoint.requests
    assert received.line == "POST /v1/chat/completions HTTP/1.1"
    assert received.body == BODY.replace(b'"auto"', b'"m-1"')
    assert json.loads(bytes(reply.body)) == ANSWER
    assert reply.usage == TokenUsage(input=9, output=2)


async def test_a_stream_comes_as_it_was_sent_without_its_end_and_unasked_usage(
    asked: Asking, endpoint: FakeEndpoint
) -> None:
    opened = await asked.stream()
    assert b"".join([bytes(piece) async for piece in opened.pieces]) == b"".join(CHUNKS)
    assert opened.usage == TokenUsage(input=9, output=2)
    assert endpoint.requests[0].asked["stream_options"] == {"include_usage": True}


async def test_who_asks_for_usage_gets_it(asked: Asking) -> None:
    opened = await asked.stream(wants_usage=True)
    assert b"".join([bytes(p) async for p in opened.pieces]) == b"".join(CHUNKS) + USAGE


async def test_an_event_goes_on_before_the_next_one_comes(
    asked: Asking, endpoint: FakeEndpoint
) -> None:
    async def one_by_one(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(head(content_type=EVENTS, Transfer_Encoding="chunked") + chunked(CHUNKS[0]))
        await endpoint.go_on.wait()
        writer.write(b"".join(map(chunked, (*CHUNKS[1:], DONE))) + b"0\r\n\r\n")

    endpoint.behaviour = one_by_one
    opened = await asked.stream()
    assert await anext(opened.pieces) == CHUNKS[0]
    endpoint.go_on.set()
    assert b"".join([bytes(p) async for p in opened.pieces]) == b"".join(CHUNKS[1:])


async def test_headers_are_plain_and_what_we_need(asked: Asking, endpoint: FakeEndpoint) -> None:
    metadata = (("traceparent", "00-1-2-01"),)
    what = Asked(BODY, Operation.CHAT)
    await asked.upstream.open_exchange(asked.url, asked.model, what, 20, metadata)
    headers = endpoint.requests[0].headers
    assert {k: v for k, v in headers.items() if k not in ("host", "content-length")} == {
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "traceparent": "00-1-2-01",
    }


async def test_embeddings_are_asked_for_at_their_own_path(
    asked: Asking, endpoint: FakeEndpoint
) -> None:
    vectors = b'{"data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":4,"total_tokens":4}}'
    endpoint.behaviour = saying(whole(vectors))
    what = Asked(b'{"input":"a","model":"auto"}', Operation.EMBEDDINGS)
    reply = await asked.upstream.open_exchange(asked.url, asked.model, what, 20, ())
    assert (bytes(reply.body), reply.usage) == (vectors, TokenUsage(input=4))
    assert endpoint.requests[0].line == "POST /v1/embeddings HTTP/1.1"
    assert endpoint.requests[0].body == b'{"input":"a","model":"m-1"}'


async def test_a_slash_after_a_base_url_makes_no_difference(endpoint: FakeEndpoint) -> None:
    async with asking(endpoint.url + "/") as asked:
        await asked.whole()
    assert endpoint.requests[0].line == "POST /v1/chat/completions HTTP/1.1"


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (Asked(BODY, Operation.TENSORS), Code.UNIMPLEMENTED),
        (Asked(b"[1]", Operation.CHAT), Code.INVALID_ARGUMENT),
    ],
)
async def test_what_cannot_be_asked_is_never_sent(
    what: Asked, code: Code, asked: Asking, endpoint: FakeEndpoint
) -> None:
    with pytest.raises(EndpointError) as failed:
        await asked.upstream.open_exchange(asked.url, asked.model, what, 20, ())
    assert (failed.value.code, failed.value.is_sent) == (code, False)
    assert endpoint.requests == []


async def test_a_model_that_has_left_is_not_asked(asked: Asking, endpoint: FakeEndpoint) -> None:
    asked.upstream.track([])
    failed = await asked.fails()
    assert (failed.code, failed.is_sent) == (Code.UNAVAILABLE, False)
    assert endpoint.requests == []


async def test_a_connection_is_kept_from_one_answer_to_the_next(
    asked: Asking, endpoint: FakeEndpoint
) -> None:
    for _ in range(3):
        await asked.whole()
        await asked.streamed()
    assert (endpoint.connections, len(endpoint.requests)) == (1, 6)


async def test_a_body_of_megabytes_is_sent_whole(asked: Asking, endpoint: FakeEndpoint) -> None:
    body = b'{"picture":"%b","model":"auto"}' % (b"x" * 3_000_000)
    what = Asked(body, Operation.CHAT)
    await asked.upstream.open_exchange(asked.url, asked.model, what, 20, ())
    assert endpoint.requests[0].body == body.replace(b'"auto"', b'"m-1"')


def refusing_usage(words: str) -> Behaviour:
    async def refuse(received: Received, writer: asyncio.StreamWriter) -> None:
        is_asked = "stream_options" in received.asked
        await (refusing(400, {"message": words}) if is_asked else well)(received, writer)

    return refuse


async def test_usage_is_not_asked_for_again_where_that_is_refused(
    asked: Asking, endpoint: FakeEndpoint
) -> None:
    endpoint.behaviour = refusing_usage("Unrecognized argument: stream_options")
    for _ in range(2):
        opened = await asked.stream()
        assert b"".join([bytes(p) async for p in opened.pieces]) == b"".join(CHUNKS)
        assert opened.usage is None
    assert ["stream_options" in one.asked for one in endpoint.requests] == [True, False, False]


async def test_what_the_caller_asks_for_is_refused_to_the_caller(
    asked: Asking, endpoint: FakeEndpoint
) -> None:
    endpoint.behaviour = refusing_usage("Unrecognized argument: stream_options")
    with pytest.raises(EndpointError, match="Unrecognized argument: stream_options"):
        await asked.stream(wants_usage=True)
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (429, {"retry_after": "30"}, 30.0),
        (503, {"retry_after_ms": "1500"}, 1.5),
        (429, {}, None),
        (400, {"retry_after": "30"}, None),
    ],
)
async def test_an_endpoint_that_is_busy_is_heard_when_to_come_back(
    status: int, headers: dict[str, str], expected: float | None, endpoint: FakeEndpoint
) -> None:
    endpoint.behaviour = refusing(status, {"message": "slow down"}, **headers)
    async with asking(endpoint.url, now_s=lambda: 0.0) as asked:
        assert (await asked.fails()).retry_after_s == expected


async def test_an_answer_without_end_is_given_up(asked: Asking, endpoint: FakeEndpoint) -> None:
    async def go_on(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(head(Content_Length=str(10**12)))
        piece = b" " * 2**20
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()

    endpoint.behaviour = go_on
    failed = await asked.fails()
    assert str(failed) == f"its answer exceeds {ANSWER_BYTES_MAX:,} bytes"


async def test_a_stream_is_read_no_further_ahead_than_it_may(
    asked: Asking, endpoint: FakeEndpoint
) -> None:
    sent, stuck = 0, asyncio.Event()

    async def flood(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(0)
        writer.write(head(content_type=EVENTS, Transfer_Encoding="chunked"))
        while not writer.is_closing():
            writer.write(chunked(CHUNKS[0] * 1_000))
            sent += 1_000 * len(CHUNKS[0])
            try:
                async with asyncio.timeout(0.5):
                    await writer.drain()
            except TimeoutError:
                stuck.set()
                return

    endpoint.behaviour = flood
    opened = await asked.stream()
    await anext(opened.pieces)
    async with asyncio.timeout(30):
        await stuck.wait()
    # What the kernel holds of both ends comes to a few MiB.
    assert sent < 32 * 2**20
    await opened.pieces.aclose()


async def test_a_large_answer_is_counted_as_held_and_gives_way(endpoint: FakeEndpoint) -> None:
    held = HeldBytes(bytes_max=2**30, in_all_max=100_000)
    upstream = OpenAiUpstream({}, now_s=asyncio.get_running_loop().time, held=held)
    model = replace(compiled(), endpoints=(endpoint.url,))
    upstream.track([model])
    endpoint.behaviour = holding(head(Content_Length="900000") + b" " * 800_000)
    with pytest.raises(EndpointError):
        await upstream.open_exchange(endpoint.url, model, Asked(BODY, Operation.CHAT), 20, ())
    assert held.in_all == 0
    await upstream.close()


@pytest.mark.parametrize(
    ("status", "is_ready"), [(200, True), (404, True), (401, False), (503, False)]
)
async def test_who_answers_and_knows_us_is_ready(
    status: int, is_ready: bool, asked: Asking, endpoint: FakeEndpoint
) -> None:
    endpoint.behaviour = saying(whole(b"{}", status))
    assert await asked.upstream.is_ready(asked.url, asked.model, 5) is is_ready


async def test_who_says_nothing_is_not_ready(asked: Asking, endpoint: FakeEndpoint) -> None:
    endpoint.behaviour = holding()
    assert not await asked.upstream.is_ready(asked.url, asked.model, 0.05)
