"""Attempts as spans by OpenTelemetry's conventions for generative AI."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from server.dispatch.exchange import CHAT, EMBEDDINGS, TENSORS, Asked
from server.routing.catalog import PayloadKind
from server.routing.query import Query
from server.status_code import Code
from server.telemetry.messages import CONTENT_BYTES_MAX, VARIABLE, wants_content
from server.telemetry.providers import place_of
from server.token_usage import TokenUsage
from tests.server.telemetry.traced import Traced, config, model, said

HOSTED = model("big", "openai", "https://api.openai.com/v1", upstream_name="gpt-4o", serves="chat")
OURS = model("own", "openai", "http://10.0.0.7:8000/v1", serves="chat")
QUESTION = b'{"model": "auto", "messages": [{"role": "user", "content": "a planted question"}]}'
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "a planted answer"},
            }
        ],
    }
).encode()
USAGE = TokenUsage(input=7, cached_input=3, cache_write_input=2, output=5, reasoning=4)


def chunk(text: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    data = {"id": "chatcmpl-2", "model": "gpt-4o-2024-08-06", "choices": [choice]}
    return b"data: " + json.dumps(data).encode() + b"\n\n"


async def asked(traced: Traced, asked: Asked) -> Sequence[ReadableSpan]:
    """The spans of its attempts."""
    kind = PayloadKind.EMBEDDINGS if asked.operation is EMBEDDINGS else PayloadKind.TEXT
    query = Query(payload_kind=kind if asked.operation is not TENSORS else PayloadKind.TENSORS)
    if asked.streams:
        async with traced.dispatcher.stream(query, asked, timeout_s=60.0) as answer:
            assert [piece async for piece in answer.pieces]
    else:
        await traced.dispatcher.infer(query, asked, timeout_s=60.0)
    return [span for span in traced.spans if span.kind is SpanKind.CLIENT]


async def test_a_chat_says_who_was_asked_for_what_and_what_it_took() -> None:
    traced = Traced(1.0, config(HOSTED))
    traced.script, traced.usage = [ANSWER], USAGE
    (span,) = await asked(traced, Asked(QUESTION, CHAT))
    assert span.name == "chat gpt-4o"
    assert said(span) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.cache_creation.input_tokens": 2,
        "gen_ai.usage.output_tokens": 9,
        "gen_ai.usage.reasoning.output_tokens": 4,
        "server.address": "api.openai.com",
        "server.port": 443,
        "turnout.model": "big",
        "turnout.attempt.purpose": "first",
        "turnout.cost_nano_usd": 1_000_000,
        "turnout.usage.estimated": False,
    }


async def test_a_stream_says_when_its_first_chunk_came_and_why_it_ended() -> None:
    traced = Traced(1.0, config(OURS))
    traced.script = [[chunk("a "), chunk("planted "), chunk("answer", "length")]]
    traced.usage = USAGE
    (span,) = await asked(traced, Asked(QUESTION, CHAT, streams=True))
    found = said(span)
    assert found["gen_ai.request.stream"] is True
    assert found["gen_ai.response.time_to_first_chunk"] == 0.25
    assert found["gen_ai.response.finish_reasons"] == ("length",)
    assert found["gen_ai.response.model"] == "gpt-4o-2024-08-06"
    assert (found["server.address"], found["server.port"]) == ("10.0.0.7", 8000)
    assert found["gen_ai.provider.name"] == "openai"  # the protocol: nobody knows the host
    assert found["gen_ai.usage.output_tokens"] == 9


async def test_an_attempt_that_failed_is_a_span_beside_the_one_that_answered() -> None:
    traced = Traced(1.0, config(OURS, HOSTED))
    traced.script = [Code.UNAVAILABLE, ANSWER]
    failed, answered = await asked(traced, Asked(QUESTION, CHAT))
    assert said(failed)["error.type"] == "UNAVAILABLE"
    assert failed.status.status_code is StatusCode.ERROR
    assert said(answered)["turnout.attempt.purpose"] == "retry"
    assert answered.status.status_code is StatusCode.UNSET
    assert "error.type" not in said(answered)
    assert failed.parent == answered.parent
    contexts = [sent["traceparent"].split("-")[2] for sent in traced.sent]
    assert contexts == [format(span.context.span_id, "016x") for span in (failed, answered)]


async def test_a_caller_that_leaves_is_no_error_of_the_endpoint() -> None:
    traced = Traced(1.0, config(OURS))
    traced.script = [[chunk("a ")] * 1_000]
    query = Query(payload_kind=PayloadKind.TEXT)
    streamed = Asked(QUESTION, CHAT, streams=True)
    async with traced.dispatcher.stream(query, streamed, timeout_s=600.0) as answer:
        await anext(answer.pieces)
        await asyncio.sleep(0)
    (span,) = [span for span in traced.spans if span.kind is SpanKind.CLIENT]
    assert span.status.status_code is StatusCode.UNSET
    assert said(span)["gen_ai.response.id"] == "chatcmpl-2"


async def test_embeddings_and_tensors_have_operations_of_their_own() -> None:
    embedding = model("vectors", "openai", "http://10.0.0.7:8000/v1", serves="embeddings")
    traced = Traced(1.0, config(embedding, model("tensors", "oip", "unix:/run/model.sock")))
    traced.script = [b'{"model": "e5"}', b"\x0a\x03{}}"]
    (first,) = await asked(traced, Asked(b'{"input": "a planted text"}', EMBEDDINGS))
    *_, second = await asked(traced, Asked(b"", TENSORS))
    assert (first.name, said(first)["gen_ai.response.model"]) == ("embeddings vectors", "e5")
    assert (second.name, said(second)["gen_ai.operation.name"]) == ("infer tensors", "infer")
    assert said(second)["server.address"] == "/run/model.sock"
    assert said(second)["gen_ai.provider.name"] == "oip"


@pytest.mark.parametrize("streams", [False, True])
async def test_what_was_asked_and_answered_is_in_no_span(streams: bool) -> None:
    traced = Traced(1.0, config(OURS))
    traced.script = [[chunk("a planted"), chunk(" answer", "stop")] if streams else ANSWER]
    await asked(traced, Asked(QUESTION, CHAT, streams=streams))
    assert len(traced.spans) == 2
    assert not any("planted" in span.to_json() for span in traced.spans)


async def test_words_where_a_name_belongs_are_not_taken_for_one() -> None:
    traced = Traced(1.0, config(OURS))
    traced.script = [b'{"id": "a planted question", "model": "own"}']
    (span,) = await asked(traced, Asked(QUESTION, CHAT))
    assert "gen_ai.response.id" not in said(span)
    assert said(span)["gen_ai.response.model"] == "own"


@pytest.mark.parametrize("streams", [False, True])
async def test_who_opts_in_gets_the_messages(streams: bool) -> None:
    traced = Traced(1.0, config(OURS), content=True)
    traced.script = [[chunk("a planted"), chunk(" answer", "stop")] if streams else ANSWER]
    (span,) = await asked(traced, Asked(QUESTION, CHAT, streams=streams))
    found = said(span)
    question, answer = (
        {"type": "text", "content": f"a planted {w}"} for w in ("question", "answer")
    )
    assert json.loads(found["gen_ai.input.messages"]) == [{"role": "user", "parts": [question]}]
    assert json.loads(found["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [answer], "finish_reason": "stop"}
    ]


async def test_pictures_are_not_taken_and_calls_of_tools_are() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:planted"}}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": "look"}, picture]},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "7"},
    ]
    traced = Traced(1.0, config(OURS), content=True)
    (span,) = await asked(traced, Asked(json.dumps({"messages": messages}).encode(), CHAT))
    assert [one["parts"] for one in json.loads(said(span)["gen_ai.input.messages"])] == [
        [{"type": "text", "content": "look"}, {"type": "image_url"}],
        [{"type": "tool_call", "id": "c1", "name": "f", "arguments": "{}"}],
        [{"type": "tool_call_response", "id": "c1", "response": "7"}],
    ]


async def test_messages_beyond_the_most_are_left_out() -> None:
    text = "x" * CONTENT_BYTES_MAX
    body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    traced = Traced(1.0, config(OURS), content=True)
    traced.script = [[chunk(text[:-1_000]), chunk("y" * 2_000, "stop")]]
    (span,) = await asked(traced, Asked(body, CHAT, streams=True))
    assert "gen_ai.input.messages" not in said(span)
    assert "yy" not in said(span)["gen_ai.output.messages"]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("true", True),
        ("SPAN_ONLY", True),
        ("span_and_event", True),
        ("EVENT_ONLY", False),
        ("", False),
    ],
)
def test_the_conventions_own_variable_opts_in(value: str, wanted: bool) -> None:
    assert wants_content({VARIABLE: value}) is wanted


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("https://api.anthropic.com/v1", "anthropic"),
        ("https://my.openai.azure.com/openai/v1", "azure.ai.openai"),
        ("https://europe-west1-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("https://notanthropic.com/v1", "openai"),
        ("http://localhost:8000/v1", "openai"),
    ],
)
def test_who_runs_an_endpoint_is_read_off_its_host(address: str, provider: str) -> None:
    assert place_of(address, "openai").provider == provider
