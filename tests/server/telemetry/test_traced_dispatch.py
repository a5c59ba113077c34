import pytest
from opentelemetry.trace import SpanKind, StatusCode

from server.dispatch.exchange import TENSORS, Asked, Metadata
from server.routing.catalog import PayloadKind
from server.routing.errors import RoutingError
from server.routing.query import Query
from server.status_code import Code
from tests.server.telemetry.traced import Traced, config, model, said

TRACE = "0af7651916cd43dd8448eb211c80319c"
CONFIG = config(model("small", "oip", "127.0.0.1:1"))


async def infer(traced: Traced, metadata: Metadata) -> None:
    query = Query(payload_kind=PayloadKind.TENSORS)
    await traced.dispatcher.infer(query, Asked(b"", TENSORS), timeout_s=1.0, metadata=metadata)


async def test_a_stream_is_a_span_that_ends_with_it_and_knows_what_it_cost() -> None:
    traced = Traced(1.0, CONFIG)
    query, asked = Query(payload_kind=PayloadKind.TENSORS), Asked(b"", TENSORS, streams=True)
    async with traced.dispatcher.stream(query, asked, timeout_s=9.0) as answer:
        assert [bytes(piece) async for piece in answer.pieces] == [b"data: {}\n\n"]
        assert [span.kind for span in traced.spans] == [SpanKind.CLIENT]
    _, span = traced.spans
    assert said(span)["turnout.model"] == "small"
    assert said(span)["turnout.cost_nano_usd"] == answer.cost_nano_usd == 1_000_000


async def test_a_stream_that_is_not_sampled_makes_no_span() -> None:
    traced = Traced(0.0, CONFIG)
    query, asked = Query(payload_kind=PayloadKind.TENSORS), Asked(b"", TENSORS, streams=True)
    async with traced.dispatcher.stream(query, asked, timeout_s=9.0) as answer:
        assert [bytes(piece) async for piece in answer.pieces] == [b"data: {}\n\n"]
    assert not traced.spans


async def test_a_sampled_call_is_a_span_of_its_callers_trace_and_each_attempt_one_within_it() -> (
    None
):
    traced = Traced(0.0, CONFIG)
    await infer(traced, (("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),))
    attempt, request = traced.spans
    assert format(request.context.trace_id, "032x") == TRACE
    assert said(request)["turnout.model"] == "small"
    assert attempt.parent is not None
    assert attempt.parent.span_id == request.context.span_id
    assert format(attempt.context.span_id, "016x") in traced.sent[0]["traceparent"]


async def test_a_call_that_is_not_sampled_makes_no_span_and_passes_its_context_on() -> None:
    traced = Traced(1.0, CONFIG)
    traceparent = f"00-{TRACE}-b7ad6b7169203331-00"
    await infer(traced, (("traceparent", traceparent),))
    assert not traced.spans
    assert traced.sent == [{"traceparent": traceparent}]


async def test_the_ratio_decides_for_a_caller_that_says_nothing() -> None:
    traced = Traced(0.6, CONFIG)  # the dice of the test show 0.5
    await infer(traced, ())
    assert len(traced.spans) == 2


async def test_a_failure_is_in_no_span_by_its_words() -> None:
    traced = Traced(1.0, CONFIG)
    traced.script = [Code.INVALID_ARGUMENT]
    with pytest.raises(RoutingError):
        await infer(traced, ())
    attempt, request = traced.spans
    assert said(attempt)["error.type"] == "INVALID_ARGUMENT"
    assert said(request)["error.type"] == "UPSTREAM_INVALID_ARGUMENT"
    for span in traced.spans:
        assert span.status.status_code is StatusCode.ERROR
        assert not span.events
        assert "words" not in span.to_json()
