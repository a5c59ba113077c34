"""The client library talks to language models through `turnout serve`."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.client.both_clients import AnyClientClass, pieces, settled
from tests.language_models import started
from tests.server.openai_service import QUESTION, configured
from tests.server.running import serving
from tests.server.upstream.openai.endpoint import CHUNKS, EVENTS, FakeEndpoint, chunked, head
from tests.server.upstream.openai.endpoint import holding as saying_no_more
from tests.server.upstream.openai.endpoint import serving as endpoint_serving
from turnout import AsyncClient, AsyncStream, Chunk, Client, InvalidRequest, Stream

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.parametrize("client_class", [Client, AsyncClient]),
]

# Of its words the likeliest each time: it says the same again.
ASKED: dict[str, Any] = {"messages": QUESTION, "max_tokens": 20, "temperature": 0}


@pytest.fixture(scope="module")
def language_model() -> Iterator[str]:
    yield from started()


async def straight(url: str) -> str:
    """What the model says to who asks it without us."""
    async with openai.AsyncOpenAI(base_url=url, api_key="unused") as client:
        answer = await client.chat.completions.create(model="any", **ASKED)
        return str(answer.choices[0].message.content)


async def test_a_language_model_answers_whole_and_in_pieces(
    client_class: AnyClientClass, language_model: str, tmp_path: Path
) -> None:
    async with serving(configured(tmp_path, language_model), tmp_path / "state") as service:
        client = client_class(service.data, timeout_s=60)
        answer = await settled(client.chat(ASKED, traffic_class="support"))
        *chunks, last = await pieces(client.stream(ASKED, traffic_class="support"))
        await settled(client.close())
    assert answer.text == "".join(chunk.text for chunk in chunks) == await straight(language_model)
    assert json.loads(answer.body)["choices"][0]["message"]["content"] == answer.text
    end = last.end
    assert end is not None
    assert (end.model, end.cell.traffic_class, end.attempts) == ("smollm2", "support", 1)
    assert end.usage.input_tokens == answer.usage.input_tokens > 0
    assert end.usage.output_tokens == answer.usage.output_tokens > 1
    assert not end.usage.estimated
    assert end.cost_usd > 0
    assert end.reason.text
    assert end.finish_reason == answer.finish_reason != ""
    assert end.decision_id != answer.decision_id


async def test_what_no_model_is_for_is_refused_before_the_first_piece(
    client_class: AnyClientClass, language_model: str, tmp_path: Path
) -> None:
    async with serving(configured(tmp_path, language_model), tmp_path / "state") as service:
        client = client_class(service.data, timeout_s=60)
        with pytest.raises(InvalidRequest, match="CLASS_UNKNOWN"):
            await pieces(client.stream(QUESTION, traffic_class="nope"))
        await settled(client.close())


async def first(stream: Stream | AsyncStream) -> Chunk:
    """The sync client waits for it, and the endpoint lives on this loop."""
    if isinstance(stream, AsyncStream):
        return await anext(stream)
    return await asyncio.to_thread(next, stream)


async def test_who_leaves_a_stream_leaves_the_model_too(
    client_class: AnyClientClass, tmp_path: Path
) -> None:
    begun = head(content_type=EVENTS, Transfer_Encoding="chunked") + chunked(CHUNKS[0])
    endpoint = FakeEndpoint(saying_no_more(begun))
    async with endpoint_serving(endpoint):
        path = configured(tmp_path, endpoint.url)
        async with serving(path, tmp_path / "state") as service:
            client = client_class(service.data, timeout_s=60)
            stream = client.stream(QUESTION)
            assert (await first(stream)).text == "Pa"
            endpoint.left.clear()
            await settled(stream.close())
            async with asyncio.timeout(30):
                await endpoint.left.wait()
            await settled(client.close())
