"""Texts and chats, inferred whole and in pieces, over real connections of either transport."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from server.routing.catalog import Cell, PayloadKind
from server.routing.counters import Counts, Leg
from server.routing.decision_id import Kind, open_decision
from server.rpc.chat_text import TEXT_BYTES_MAX
from server.rpc.openai_body import FORWARDED_BYTES_MAX
from server.rpc.openai_chat import INLINE_BYTES_MAX
from server.status_code import Code
from tests.server.rpc.requests import check
from tests.server.rpc.service import KEY, Refusal, Service, refusal_of, refused, running
from tests.server.rpc.words import ANSWER, STEPS, Words, chunk_of, event
from turnout.v1 import routing_pb2 as pb

PATIENCE_S = 20.0
CELL = Cell("chat", "-", "other", "s0", PayloadKind.TEXT)
CHAT = {"messages": [{"role": "user", "content": "The capital of France?"}], "seed": 1}
USED: dict[str, Any] = {
    "input_tokens": 28,
    "output_tokens": 9,
    "cached_input_tokens": 20,
    "cache_write_input_tokens": 3,
    "reasoning_tokens": 2,
}


@dataclass(slots=True)
class Scene:
    service: Service
    words: Words

    def counts(self) -> Counts:
        return self.service.counters.get(Leg(CELL, "text", "text"))

    async def stream(self, request: pb.InferRequest, **options: Any) -> "Streamed":
        """All that comes of it."""
        call = self.service.routing.InferStream(in_pieces(request), timeout=PATIENCE_S, **options)
        streamed = Streamed()
        try:
            streamed.head = dict(await call.initial_metadata())
            async for part in call:
                streamed.events.append(part)
        except grpc.aio.AioRpcError as error:
            streamed.refusal = refusal_of(error)
        streamed.trailers = dict(await call.trailing_metadata())
        return streamed


@dataclass(slots=True)
class Streamed:
    head: dict[str, Any] = field(default_factory=dict)
    events: list[pb.InferStreamResponse] = field(default_factory=list)
    trailers: dict[str, Any] = field(default_factory=dict)
    refusal: Refusal | None = None

    @property
    def end(self) -> pb.InferResponse:
        assert self.events[-1].HasField("end")
        return self.events[-1].end

    def told(self) -> dict[str, str]:
        """Of the trailers, ours."""
        return {k: v for k, v in self.trailers.items() if k.startswith("turnout-")}


@pytest.fixture(params=["grpcio", "turnout"])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    words = Words()
    async with running(transport=request.param, words=words, now_s=time.time) as service:
        yield Scene(service, words)


def in_pieces(request: pb.InferRequest) -> pb.InferStreamRequest:
    """The same, to be answered in pieces."""
    return pb.InferStreamRequest.FromString(request.SerializeToString())


def chat(**fields: Any) -> pb.InferRequest:
    return pb.InferRequest(openai_chat=json.dumps(CHAT | fields).encode())


async def test_a_chat_goes_on_as_it_came_and_comes_back_with_what_it_took(scene: Scene) -> None:
    request = chat()
    response = await scene.service.routing.Infer(request)
    (asked,) = scene.words.asked
    assert (bytes(asked.body), asked.streams) == (request.openai_chat, False)
    assert (response.openai_chat, response.target.model) == (ANSWER, "text")
    assert response.cell.payload_kind == "text"
    assert response.attempts == 1
    response.usage.ClearField("latency")
    assert response.usage == pb.Usage(**USED)
    opened = open_decision(KEY, response.decision_id, now_s=time.time())
    assert (opened.kind, opened.model) == (Kind.INFER, "text")
    counts = scene.counts()
    assert (counts.attempts, counts.input_tokens, counts.output_tokens) == (1, 28, 9)


async def test_a_text_is_asked_as_a_chat_and_its_answer_is_a_text(scene: Scene) -> None:
    response = await scene.service.routing.Infer(pb.InferRequest(text='"Paris"\n\u00e9?'))
    (asked,) = scene.words.asked
    assert json.loads(bytes(asked.body)) == {
        "messages": [{"role": "user", "content": '"Paris"\n\u00e9?'}]
    }
    assert (response.text, response.finish_reason) == ("Paris", "stop")


async def test_tokens_that_are_not_told_are_marked_as_estimated(scene: Scene) -> None:
    scene.words.usage = None
    request = pb.InferRequest(text="hi", features=pb.Features(input_tokens=11))
    response = await scene.service.routing.Infer(request)
    assert (response.usage.input_tokens, response.usage.estimated) == (11, True)
    streamed = await scene.stream(request)
    assert streamed.end.usage.estimated
    assert streamed.end.usage.output_tokens == len(STEPS)


async def test_a_chat_comes_in_pieces_behind_who_answers_and_before_what_it_took(
    scene: Scene,
) -> None:
    streamed = await scene.stream(chat())
    chunks = [part.openai_chunk for part in streamed.events[:-1]]
    assert chunks == [chunk_of(step) for step in STEPS if isinstance(step, bytes)]
    assert scene.words.asked[0].streams
    assert streamed.head["turnout-model"] == "text"
    end = streamed.end
    assert streamed.head["turnout-decision-id"] == end.decision_id
    assert (end.WhichOneof("payload"), end.target.model, end.attempts) == (None, "text", 1)
    end.usage.ClearField("latency")
    assert end.usage == pb.Usage(**USED)
    assert streamed.told() == {
        "turnout-attempts": "1",
        "turnout-cost-nano-usd": str(end.cost_nano_usd),
        "turnout-input-tokens": "28",
        "turnout-output-tokens": "9",
    }
    counts = scene.counts()
    assert (counts.answered, counts.output_tokens, counts.cost_nano_usd) == (
        1,
        9,
        end.cost_nano_usd,
    )


async def test_a_text_comes_in_pieces_of_text_and_with_why_it_ended(scene: Scene) -> None:
    streamed = await scene.stream(pb.InferRequest(text="The capital of France?"))
    assert [part.text_delta for part in streamed.events[:-1]] == ["Pa", "ris"]
    assert streamed.end.finish_reason == "stop"


async def test_the_first_piece_is_there_before_the_next_comes(scene: Scene) -> None:
    scene.words.steps = [event("Pa"), 1_000.0]
    call = scene.service.routing.InferStream(pb.InferStreamRequest(text="hi"), timeout=PATIENCE_S)
    first = await call.read()
    assert isinstance(first, pb.InferStreamResponse)
    assert first.text_delta == "Pa"
    assert not scene.words.ended.is_set()
    call.cancel()
    async with asyncio.timeout(PATIENCE_S):
        await scene.words.ended.wait()


async def test_a_stream_that_breaks_is_told_with_what_it_took(scene: Scene) -> None:
    scene.words.steps, scene.words.usage = [event("Pa"), event("ri"), Code.UNAVAILABLE], None
    streamed = await scene.stream(pb.InferRequest(text="hi", features=pb.Features(input_tokens=4)))
    assert [part.text_delta for part in streamed.events] == ["Pa", "ri"]
    assert streamed.refusal is not None
    assert (streamed.refusal.code, streamed.refusal.reason, streamed.refusal.domain) == (
        grpc.StatusCode.UNAVAILABLE,
        "STREAM_BROKEN",
        "upstream",
    )
    assert streamed.refusal.message == "model text broke off: cut"
    assert streamed.refusal.retry_s is None  # a model was asked
    told = streamed.told()
    assert (told["turnout-attempts"], told["turnout-output-tokens"]) == ("1", "2")
    counts = scene.counts()
    assert (counts.attempts, counts.answered, counts.failed) == (1, 0, 1)
    assert int(told["turnout-cost-nano-usd"]) == counts.cost_nano_usd > 0
    assert scene.service.refusals() == {"STREAM_BROKEN": 1}


async def test_what_fails_before_the_first_piece_is_an_error_like_any_other(scene: Scene) -> None:
    scene.words.steps = [Code.INVALID_ARGUMENT]
    streamed = await scene.stream(chat())
    assert streamed.refusal is not None
    assert streamed.refusal.reason == "UPSTREAM_INVALID_ARGUMENT"
    assert streamed.told() == {}


async def test_the_deadline_of_a_call_ends_its_stream(scene: Scene) -> None:
    scene.words.steps = [event("Pa"), 1_000.0]
    call = scene.service.routing.InferStream(pb.InferStreamRequest(text="hi"), timeout=0.5)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        async for _ in call:
            pass
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(PATIENCE_S):
        await scene.words.ended.wait()


async def test_only_a_caller_who_asked_for_usage_has_it_among_the_pieces(scene: Scene) -> None:
    await scene.stream(chat())
    await scene.stream(chat(stream=True, stream_options={"include_usage": True}))
    assert [asked.wants_usage for asked in scene.words.asked] == [False, True]


async def test_a_caller_that_stops_reading_stops_the_reading_of_its_endpoint(scene: Scene) -> None:
    scene.words.steps = [event("x" * 10_000)] * 10_000
    call = scene.service.routing.InferStream(in_pieces(chat()), timeout=PATIENCE_S)
    await call.read()
    async with asyncio.timeout(PATIENCE_S):
        before = -1
        while before != scene.words.taken:
            before = scene.words.taken
            await asyncio.sleep(0.3)
    assert scene.words.taken < 5_000
    call.cancel()
    async with asyncio.timeout(PATIENCE_S):
        await scene.words.ended.wait()


async def test_a_large_chat_is_read_beside_the_loop_and_goes_on_whole(scene: Scene) -> None:
    large = {"role": "system", "content": "x" * INLINE_BYTES_MAX}
    request = chat(messages=[large, *CHAT["messages"]])  # type: ignore[misc]
    await scene.service.routing.Infer(request)
    assert bytes(scene.words.asked[0].body) == request.openai_chat
    assert scene.service.chat_reader.pid is not None


@pytest.mark.parametrize(
    ("request_", "reason", "fields"),
    [
        (pb.InferRequest(), "REQUEST_INVALID", ["oip_request"]),
        (pb.InferRequest(openai_chat=b"{"), "PAYLOAD_MALFORMED", ["openai_chat"]),
        (pb.InferRequest(openai_chat=b""), "PAYLOAD_MALFORMED", ["openai_chat"]),
        (pb.InferRequest(openai_chat=b"{}"), "PAYLOAD_MALFORMED", ["openai_chat.messages"]),
        (pb.InferRequest(text="x" * (TEXT_BYTES_MAX + 1)), "PAYLOAD_TOO_LARGE", ["text"]),
        (
            pb.InferRequest(openai_chat=bytes(FORWARDED_BYTES_MAX + 1)),
            "PAYLOAD_TOO_LARGE",
            ["openai_chat"],
        ),
    ],
    ids=["nothing", "no JSON", "empty", "no messages", "long text", "large chat"],
)
async def test_what_cannot_be_asked_is_refused_in_the_same_words_by_both(
    scene: Scene, request_: pb.InferRequest, reason: str, fields: list[str]
) -> None:
    whole = await refused(scene.service, scene.service.routing.Infer(request_))
    check(whole, reason, fields)
    pieces = await refused(
        scene.service, scene.service.routing.InferStream(in_pieces(request_)).read()
    )
    check(pieces, reason, ["text"] if fields == ["oip_request"] else fields)
    assert scene.words.asked == []


async def test_a_chat_that_asks_for_a_stream_is_told_where_streams_are(scene: Scene) -> None:
    found = await refused(scene.service, scene.service.routing.Infer(chat(stream=True)))
    check(found, "REQUEST_INVALID", ["openai_chat.stream"])


async def test_a_chat_needs_a_model_that_can_do_all_it_asks(scene: Scene) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    picture = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    assert (await scene.service.routing.Infer(chat(tools=tools))).target.model == "text"
    seeing = chat(messages=[{"role": "user", "content": [picture]}])
    found = await refused(scene.service, scene.service.routing.Infer(seeing))
    check(found, "NO_CANDIDATE", ["features.capabilities"])
