"""A real language model behind llama.cpp's server, asked by gRPC, whole and in pieces."""

import json
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from server.routing.catalog import Cell, PayloadKind
from server.routing.counters import Leg
from tests.language_models import started
from tests.server.rpc.service import Service, running
from turnout.v1 import routing_pb2 as pb

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0
CELL = Cell("chat", "-", "other", "s0", PayloadKind.TEXT)
QUESTION = "What is the capital of France?"
CHAT = json.dumps(
    {
        "messages": [{"role": "user", "content": QUESTION}],
        "max_completion_tokens": 12,
        "temperature": 0,
    }
).encode()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    yield from started()


@pytest.fixture(params=["grpcio", "turnout"])
async def service(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Service]:
    async with running(transport=request.param, text_at=url, now_s=time.time) as made:
        yield made


async def test_it_says_the_same_whole_and_in_pieces_and_is_charged_alike(service: Service) -> None:
    whole = await service.routing.Infer(pb.InferRequest(openai_chat=CHAT), timeout=PATIENCE_S)
    choice = json.loads(whole.openai_chat)["choices"][0]
    assert choice["message"]["content"]
    call = service.routing.InferStream(pb.InferStreamRequest(openai_chat=CHAT), timeout=PATIENCE_S)
    *chunks, last = [part async for part in call]
    deltas = [json.loads(part.openai_chunk)["choices"][0]["delta"] for part in chunks]
    assert "".join(d.get("content") or "" for d in deltas) == choice["message"]["content"]
    assert len(deltas) > 3
    assert last.end.target.model == "text"
    assert last.end.usage.output_tokens == whole.usage.output_tokens <= 12
    assert last.end.usage.input_tokens == whole.usage.input_tokens > 5
    assert not last.end.usage.estimated
    counts = service.counters.get(Leg(CELL, "text", "text"))
    assert (counts.attempts, counts.answered) == (2, 2)
    assert counts.output_tokens == 2 * whole.usage.output_tokens


async def test_a_text_is_answered_by_text(service: Service) -> None:
    request = pb.InferStreamRequest(text=QUESTION)
    call = service.routing.InferStream(request, timeout=PATIENCE_S)
    *pieces, last = [part async for part in call]
    assert "".join(part.text_delta for part in pieces)
    assert last.end.finish_reason in ("stop", "length")
