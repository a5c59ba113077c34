"""What a caller says arrives, whole and by its right name."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wire import oip_pb2
from turnout import Attempt, Outcome, Target
from turnout.convert import decision, infer_request, route_request
from turnout.reporting import report_request
from turnout.request import (
    BatchFields,
    ContextFields,
    FeatureFields,
    OutcomeFields,
    RequestFields,
)
from turnout.v1 import routing_pb2 as pb

texts = st.text("aé€😀\n\0", max_size=5)
tokens = st.integers(0, 2**32 - 1)
shares = st.floats(0, 1)

request_fields = st.fixed_dictionaries(
    {},
    optional={
        "traffic_class": texts,
        "tenant": texts,
        "user": texts,
        "labels": st.dictionaries(texts, texts, max_size=3),
        "priority": st.integers(-(2**31), 2**31 - 1),
        "response_format": texts,
        "request_id": texts,
        "input_tokens": tokens,
        "domain": texts,
        "capabilities": st.lists(texts, max_size=3),
        "payload_kind": st.sampled_from(["text", "tensors"]),
    },
)
outcomes = st.builds(
    Outcome,
    decision_id=texts,
    quality=st.none() | shares,
    metrics=st.dictionaries(st.sampled_from(["tone", "length"]), shares),
    judged_at=st.none() | st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)),
    latency_s=st.none() | st.floats(0, 1e6),
    input_tokens=st.none() | tokens,
    output_tokens=st.none() | tokens,
    failed=st.none() | st.booleans(),
    domain=texts,
    intent=texts,
)
KINDS = {"text": pb.PAYLOAD_KIND_TEXT, "tensors": pb.PAYLOAD_KIND_TENSORS}


def read_back(context: pb.RequestContext, features: pb.Features) -> dict[str, object]:
    """Every field that is not at its default, as a caller would have said it."""
    said: dict[str, Any] = {
        each.name: value for part in (context, features) for each, value in part.ListFields()
    }
    kinds = {kind: name for name, kind in KINDS.items()}
    if "payload_kind" in said:
        said["payload_kind"] = kinds[said["payload_kind"]]
    if "labels" in said:
        said["labels"] = dict(said["labels"])
    if "capabilities" in said:
        said["capabilities"] = list(said["capabilities"])
    return said


def stated(fields: RequestFields) -> dict[str, object]:
    """Tokens are stated even when there are none of them; all else only when it says something."""
    explicit = ("input_tokens",)
    return {name: value for name, value in fields.items() if value or name in explicit}


@given(fields=request_fields, text=st.none() | texts, dry_run=st.booleans())
def test_a_route_request_loses_no_field(
    fields: RequestFields, text: str | None, dry_run: bool
) -> None:
    built = route_request(cast("BatchFields", {**fields, "text": text}), dry_run=dry_run)
    sent = pb.RouteRequest.FromString(built.SerializeToString())
    assert read_back(sent.context, sent.features) == stated(fields)
    assert (sent.text if sent.HasField("text") else None) == text
    assert sent.dry_run == dry_run


@given(fields=request_fields, payload=st.binary(max_size=50))
def test_an_infer_request_loses_no_field(fields: RequestFields, payload: bytes) -> None:
    built = infer_request(payload, fields=fields)
    sent = pb.InferRequest.FromString(built.SerializeToString())
    assert read_back(sent.context, sent.features) == stated(fields)
    assert sent.oip_request == payload


@given(outcome=outcomes)
def test_an_outcome_loses_no_grade(outcome: Outcome) -> None:
    (sent,) = report_request([outcome]).outcomes
    grades = dict(outcome.metrics)
    if outcome.quality is not None:
        grades["quality"] = outcome.quality
    assert {grade.metric: grade.value for grade in sent.feedback} == grades
    for grade in sent.feedback:
        judged_at = grade.time.ToDatetime(UTC) if grade.HasField("time") else None
        assert judged_at == outcome.judged_at
    assert sent.decision_id == outcome.decision_id
    assert (sent.domain, sent.intent) == (outcome.domain, outcome.intent)


@given(outcome=outcomes)
def test_an_outcome_has_usage_exactly_where_some_is_stated(outcome: Outcome) -> None:
    (sent,) = report_request([outcome]).outcomes
    said = (outcome.latency_s, outcome.input_tokens, outcome.output_tokens, outcome.failed)
    assert sent.HasField("usage") == any(value is not None for value in said)
    usage = sent.usage
    assert usage.latency.ToNanoseconds() / 1e9 == pytest.approx(outcome.latency_s or 0, abs=1e-9)
    assert usage.input_tokens == (outcome.input_tokens or 0)
    assert usage.output_tokens == (outcome.output_tokens or 0)
    assert usage.failed == bool(outcome.failed)


def test_the_keywords_are_the_fields_of_the_contract() -> None:
    assert set(ContextFields.__annotations__) == set(pb.RequestContext.DESCRIPTOR.fields_by_name)
    assert set(FeatureFields.__annotations__) == set(pb.Features.DESCRIPTOR.fields_by_name)


def test_the_keywords_of_report_are_the_fields_of_an_outcome() -> None:
    fields = Outcome.__dataclass_fields__.keys() - {"decision_id"}
    assert OutcomeFields.__annotations__.keys() == fields


def test_a_route_request_carries_the_callers_own_oip_message() -> None:
    message = oip_pb2.ModelInferRequest(id="i-1")
    built = route_request({"oip_request": message})
    assert built.oip_request == message.SerializeToString()


def test_a_chat_is_sent_as_it_is_or_made_of_a_dict() -> None:
    chat: dict[str, object] = {"messages": [{"role": "user", "content": "grüße"}]}
    for said in (chat, json.dumps(chat).encode()):
        built = route_request({"openai_chat": said})
        assert json.loads(built.openai_chat) == chat


@pytest.mark.parametrize(
    "contents",
    [
        {"text": "a", "oip_request": b"b", "openai_chat": None},
        {"text": "a", "oip_request": None, "openai_chat": b"c"},
        {"text": None, "oip_request": b"b", "openai_chat": b"c"},
        {"text": "", "oip_request": b"", "openai_chat": b""},
    ],
)
def test_several_contents_together_are_refused(contents: BatchFields) -> None:
    with pytest.raises(ValueError, match="not several"):
        route_request(contents)


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"tennant": "a"}, TypeError, "no such keyword: tennant"),
        ({"tenant": 3}, TypeError, "^tenant: "),
        ({"labels": {"a": 1}}, TypeError, "^labels: "),
        ({"tenant": "\ud800"}, ValueError, "^tenant: "),
        ({"priority": 2**31}, ValueError, "^priority: "),
        ({"input_tokens": -1}, ValueError, "^input_tokens: "),
        ({"payload_kind": "video"}, ValueError, "^payload_kind: .*not 'video'"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_name(
    fields: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        infer_request(b"", fields=cast("RequestFields", fields))


@pytest.mark.parametrize("latency_s", [math.nan, math.inf, 1e300])
def test_a_latency_that_is_no_time_is_refused_by_its_name(latency_s: float) -> None:
    with pytest.raises(ValueError, match="latency_s: a finite number"):
        report_request([Outcome(decision_id="d-1", latency_s=latency_s)])


def test_a_grade_out_of_bounds_goes_to_the_server_which_knows_them() -> None:
    (sent,) = report_request([Outcome(decision_id="d-1", quality=math.nan)]).outcomes
    assert math.isnan(sent.feedback[0].value)


SMALL, LARGE = (Target(model=m, version="1", endpoint=f"{m}:1") for m in ("small", "large"))


def reported(*attempts: Attempt, **fields: Any) -> pb.Outcome:
    (sent,) = report_request([Outcome(decision_id="d-1", attempts=attempts, **fields)]).outcomes
    return sent


def test_a_fallback_is_told_by_its_targets_and_the_whole_is_their_sum() -> None:
    sent = reported(
        SMALL.failed(latency_s=0.25),
        LARGE.answered(latency_s=0.5, input_tokens=100, output_tokens=7),
    )
    assert [(one.model, one.endpoint, one.usage.failed) for one in sent.attempts] == [
        ("small", "small:1", True),
        ("large", "large:1", False),
    ]
    assert sent.usage.latency.ToMilliseconds() == 750
    assert (sent.usage.input_tokens, sent.usage.output_tokens) == (100, 7)
    assert not sent.usage.failed


def test_usage_that_is_stated_is_believed_over_the_sum_of_attempts() -> None:
    sent = reported(SMALL.failed(), LARGE.answered(), latency_s=2.0, output_tokens=7)
    assert sent.usage.latency.ToMilliseconds() == 2_000
    assert sent.usage.output_tokens == 7
    assert not sent.attempts[1].HasField("usage")  # what the other leaves


def test_a_request_of_which_the_last_attempt_failed_has_failed() -> None:
    assert reported(SMALL.failed(), LARGE.failed()).usage.failed


def test_the_targets_of_a_decision_are_in_the_order_to_try_them() -> None:
    response = pb.RouteResponse(
        target=pb.Target(model="small"), fallbacks=[pb.Target(model="large")]
    )
    assert [target.model for target in decision(response).targets] == ["small", "large"]


def test_the_time_of_a_grade_is_the_same_in_every_timezone() -> None:
    east = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    (sent,) = report_request([Outcome(decision_id="d-1", quality=1.0, judged_at=east)]).outcomes
    assert sent.feedback[0].time.ToDatetime(UTC) == datetime(2026, 1, 1, 7, tzinfo=UTC)


def test_the_time_of_a_grade_needs_its_timezone() -> None:
    naive = Outcome(decision_id="d-1", quality=1.0, judged_at=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="judged_at: a time needs its timezone"):
        report_request([naive])


def test_a_basis_from_a_newer_server_is_read_as_none() -> None:
    newer = pb.RouteResponse.FromString(b"\x32\x02\x10\x63")  # reason.basis = 99
    assert decision(newer).reason.basis == ""
