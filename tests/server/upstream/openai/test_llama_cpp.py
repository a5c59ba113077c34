"""A real language model behind llama.cpp's server, asked as any endpoint."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from server.dispatch.exchange import Asked, Operation
from server.routing.catalog import Model
from server.upstream.openai.upstream import OpenAiUpstream
from tests.language_models import started
from tests.server.upstream.openai.asking import compiled

pytestmark = pytest.mark.slow

BODY = json.dumps(
    {
        "model": "auto",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_completion_tokens": 12,
        "temperature": 0,
    }
).encode()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    yield from started()


@pytest.fixture
async def asked_at(url: str) -> AsyncIterator[tuple[OpenAiUpstream, Model]]:
    upstream = OpenAiUpstream({}, now_s=asyncio.get_running_loop().time)
    model = replace(compiled(), endpoints=(url,))
    upstream.track([model])
    yield upstream, model
    await upstream.close()


def text_of(events: bytes) -> str:
    """What the chunks of a stream say together."""
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events.split(b"\n\n") if event]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    return "".join(delta.get("content") or "" for delta in deltas)


async def test_it_says_the_same_whole_and_in_pieces_and_counts_its_tokens(
    asked_at: tuple[OpenAiUpstream, Model],
) -> None:
    upstream, model = asked_at
    (address,) = model.endpoints
    reply = await upstream.open_exchange(address, model, Asked(BODY, Operation.CHAT), 60, ())
    said = json.loads(bytes(reply.body))["choices"][0]["message"]["content"]
    assert said
    stream = await upstream.open_stream(
        address, model, Asked(BODY, Operation.CHAT, streams=True), 60, ()
    )
    events = b"".join([bytes(piece) async for piece in stream.pieces])
    assert text_of(events) == said
    assert stream.usage is not None
    assert reply.usage is not None
    assert stream.usage.all_output == reply.usage.all_output <= 12
    assert stream.usage.all_input == reply.usage.all_input > 5


async def test_it_is_ready_once_it_answers(asked_at: tuple[OpenAiUpstream, Model]) -> None:
    upstream, model = asked_at
    assert await upstream.is_ready(model.endpoints[0], model, 5)
    assert not await upstream.is_ready("http://127.0.0.1:9/v1", model, 5)
