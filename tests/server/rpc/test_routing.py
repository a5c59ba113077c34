"""RoutingService over a real connection: what is answered, and how bad input is refused."""

import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from server.config.classes import ClassConfig
from server.control.cell_messages import to_message
from server.routing.catalog import PayloadKind
from server.routing.counters import NO_MODEL, Leg
from server.routing.decision_id import Kind, open_decision
from server.routing.errors import ControlPlaneDown
from server.routing.journey import MARGIN_S
from server.routing.selector import WeightTable
from server.rpc.convert import TEXT_BYTES_MAX
from server.rpc.errors import STATUS
from server.rpc.method_limits import MESSAGE_BYTES_MAX, PAYLOAD_BYTES_MAX
from server.rpc.oip_wire import STEPS_MAX
from server.rpc.openai_chat import BYTES_MAX
from server.rpc.routing import forwarded
from server.rpc.shapes import CAPABILITIES_MAX, LABELS_MAX, OUTCOMES_MAX
from server.wire import oip_pb2
from tests.server.routing.configs import config
from tests.server.rpc.service import (
    CELL,
    KEY,
    NOW_S,
    Refusal,
    Service,
    refusal_of,
    refused,
    running,
    shares_of,
)
from tests.server.upstream.endpoint import refusing
from turnout.v1 import routing_pb2 as pb

CHAT_SHED = {("chat", kind.value): (1.0, "capacity of small") for kind in PayloadKind}
TENSORS = oip_pb2.ModelInferRequest(
    model_name="what the caller calls it", id="r1", raw_input_contents=[b"\0\1\2\3"]
).SerializeToString()
LONG = "x" * (TEXT_BYTES_MAX + 1)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running() as made:
        yield made


def route_request(**context: Any) -> pb.RouteRequest:
    return pb.RouteRequest(
        context=pb.RequestContext(**context),
        features=pb.Features(payload_kind=pb.PAYLOAD_KIND_TENSORS),
    )


def infer_request(**context: Any) -> pb.InferRequest:
    return pb.InferRequest(context=pb.RequestContext(**context), oip_request=TENSORS)


def chat_request(content: Any, **fields: Any) -> pb.RouteRequest:
    body = {"messages": [{"role": "user", "content": content}], **fields}
    return pb.RouteRequest(openai_chat=json.dumps(body).encode())


async def test_a_chat_is_answered_by_a_model_of_text_that_can_do_what_it_needs(
    service: Service,
) -> None:
    request = chat_request("what is the tax?", tools=[{"type": "function"}])
    assert (await service.routing.Route(request)).target.model == "text"
    pictured = chat_request([{"type": "image_url"}, {"type": "text", "text": "what is this?"}])
    assert (await refused(service, service.routing.Route(pictured))).reason == "NO_CANDIDATE"


async def test_a_malformed_chat_is_refused_with_the_place(service: Service) -> None:
    found = await refused(service, service.routing.Route(chat_request(3)))
    assert (found.code, found.reason) == (StatusCode.INVALID_ARGUMENT, "PAYLOAD_MALFORMED")
    assert found.fields == ["openai_chat.messages[0].content"]


async def test_a_large_chat_is_decided_as_a_small_one_and_read_by_another_process(
    service: Service,
) -> None:
    small = chat_request("what is the tax?", tools=[{"type": "function"}])
    expected = await service.routing.Route(small)
    assert service.chat_reader.pid is None
    padding = "x" * (200 * 2**10 - len(small.openai_chat))
    large = chat_request("what is the tax?", tools=[{"type": "function"}], metadata=padding)
    found = await service.routing.Route(large)
    assert service.chat_reader.pid is not None
    assert found.decision_id
    for response in (expected, found):
        response.ClearField("decision_id")
    assert found == expected


async def test_what_a_large_chat_says_decides(service: Service) -> None:
    text = "x" * 200 * 2**10
    assert (await service.routing.Route(chat_request(text))).target.model == "text"
    pictured = chat_request([{"type": "image_url"}, {"type": "text", "text": text}])
    assert (await refused(service, service.routing.Route(pictured))).reason == "NO_CANDIDATE"
    named = chat_request(text)
    named.context.traffic_class = "meta"
    assert (await service.routing.Route(named)).cell.traffic_class == "meta"


async def test_a_large_chat_that_is_malformed_is_refused_with_the_place(service: Service) -> None:
    found = await refused(service, service.routing.Route(chat_request(3, x="x" * 200 * 2**10)))
    assert (found.code, found.reason) == (StatusCode.INVALID_ARGUMENT, "PAYLOAD_MALFORMED")
    assert found.fields == ["openai_chat.messages[0].content"]


async def test_a_chat_above_the_limit_is_refused_and_read_by_nobody(service: Service) -> None:
    found = await refused(service, service.routing.Route(chat_request("x" * BYTES_MAX)))
    assert (found.code, found.reason) == (StatusCode.RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE")
    assert found.fields == ["openai_chat"]
    assert service.chat_reader.pid is None


async def test_a_route_is_answered_with_the_decision_and_why(service: Service) -> None:
    response = await service.routing.Route(route_request(request_id="r9"))
    decision_id = response.decision_id
    response.ClearField("decision_id")
    assert response == pb.RouteResponse(
        plan_id="p1",
        cell=to_message(CELL),
        target=pb.Target(model="small", version="1", endpoint=service.small.address),
        fallbacks=[pb.Target(model="large", version="1", endpoint=service.large.address)],
        reason=pb.Reason(
            rule="default", basis=pb.BASIS_PLAN, text="plan p1 gives small 100% of this cell"
        ),
        expected_cost_nano_usd=1_000,
        reuse_for=Duration(seconds=5),
        request_id="r9",
    )
    opened = open_decision(KEY, decision_id, now_s=NOW_S)
    assert (opened.kind, opened.cell, opened.model) == (Kind.ROUTE, CELL, "small")
    assert opened.expected_cost_nano_usd == 1_000
    assert service.endpoints_asked() == 0


async def test_a_route_counts_one_decision(service: Service) -> None:
    await service.routing.Route(route_request())
    assert service.counters.take_touched() == [(CELL, "small", "small")]
    assert service.counters.get(Leg(CELL, "small", "small")).decided == 1


async def test_a_dry_run_explains_counts_nothing_and_has_no_id(service: Service) -> None:
    response = await service.routing.Route(pb.RouteRequest(dry_run=True))
    assert response.decision_id == ""
    assert response.target.model == "small"
    assert response.reason.text
    assert service.counters.take_touched() == []


@pytest.mark.parametrize(
    ("request_", "traffic_class", "rule", "basis", "model"),
    [
        (route_request(), "chat", "default", pb.BASIS_PLAN, "small"),
        (route_request(traffic_class="meta"), "meta", "context", pb.BASIS_GREEDY, "small"),
        (route_request(labels={"app": "audit"}), "audited", "audited", pb.BASIS_GREEDY, "small"),
        (route_request(tenant="acme", user="ada"), "acme", "acme", pb.BASIS_GREEDY, "small"),
        (pb.RouteRequest(text="hello"), "chat", "default", pb.BASIS_GREEDY, "text"),
        (pb.RouteRequest(oip_request=TENSORS), "chat", "default", pb.BASIS_PLAN, "small"),
        (
            pb.RouteRequest(features=pb.Features(capabilities=["tools"])),
            "chat",
            "default",
            pb.BASIS_GREEDY,
            "text",
        ),
    ],
)
async def test_a_request_is_routed_by_what_it_says(
    service: Service,
    request_: pb.RouteRequest,
    traffic_class: str,
    rule: str,
    basis: pb.Basis.ValueType,
    model: str,
) -> None:
    response = await service.routing.Route(request_)
    assert response.cell.traffic_class == traffic_class
    assert (response.reason.rule, response.reason.basis) == (rule, basis)
    assert response.target.model == model


async def test_metadata_of_the_call_is_there_for_rules(service: Service) -> None:
    response = await service.routing.Route(route_request(), metadata=(("x-team", "blue"),))
    assert response.cell.traffic_class == "meta"


async def test_features_are_believed_over_the_content(service: Service) -> None:
    features = pb.Features(input_tokens=5_000, domain="law")
    response = await service.routing.Route(pb.RouteRequest(text="hi", features=features))
    assert (response.cell.domain, response.cell.size_bucket) == ("law", "s1")


async def test_a_cell_of_several_models_is_asked_for_again_each_time(service: Service) -> None:
    service.router.publish(WeightTable("p2", {CELL: shares_of(0.25, 0.75)}))
    response = await service.routing.Route(route_request())
    assert response.target.model == "large"
    assert response.fallbacks[0].model == "small"
    assert response.reuse_for.ToMilliseconds() == 0


async def test_what_is_shed_is_refused_and_no_model_is_asked(service: Service) -> None:
    service.router.publish(WeightTable("p2", kinds_shed=CHAT_SHED))
    calls = (
        service.routing.Route(route_request()),
        service.routing.Route(pb.RouteRequest(dry_run=True)),
        service.routing.Infer(infer_request()),
        service.oip.ModelInfer(oip_pb2.ModelInferRequest(model_name="auto")),
    )
    for call in calls:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            found = refusal_of(error)
        else:
            raise AssertionError("it was answered")
        assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "SHED")
        assert found.metadata["binds"] == "capacity of small"
        assert 1.0 <= (found.retry_s or 0) <= 3.0
    assert service.endpoints_asked() == 0
    assert service.refusals() == {"SHED": 4}
    legs = service.counters.take_touched()
    assert sum(service.counters.get(leg).shed for leg in legs) == 3
    assert {leg.model for leg in legs} == {NO_MODEL}


async def test_a_report_is_wanted_of_what_is_in_the_audit_sample(service: Service) -> None:
    audited = await service.routing.Route(route_request(traffic_class="audited"))
    plain = await service.routing.Route(route_request())
    assert (audited.report_wanted, plain.report_wanted) == (True, False)
    assert open_decision(KEY, audited.decision_id, now_s=NOW_S).audit_probability == 1


async def test_an_infer_comes_back_with_the_endpoints_bytes_and_what_it_took(
    service: Service,
) -> None:
    async def answer(request: bytes, context: object) -> bytes:
        return b"\xff not read by us"

    service.small.behaviour = answer
    response = await service.routing.Infer(infer_request(request_id="r9"))
    decision_id = response.decision_id
    response.ClearField("decision_id")
    assert response == pb.InferResponse(
        oip_response=b"\xff not read by us",
        plan_id="p1",
        cell=to_message(CELL),
        target=pb.Target(model="small", version="1", endpoint=service.small.address),
        reason=pb.Reason(
            rule="default", basis=pb.BASIS_PLAN, text="plan p1 gives small 100% of this cell"
        ),
        usage=pb.Usage(latency=Duration()),
        cost_nano_usd=1_000_000,
        attempts=1,
        request_id="r9",
    )
    opened = open_decision(KEY, decision_id, now_s=NOW_S)
    assert (opened.kind, opened.model) == (Kind.INFER, "small")


async def test_an_infer_reaches_the_endpoint_under_the_models_name(service: Service) -> None:
    await service.routing.Infer(infer_request())
    expected = oip_pb2.ModelInferRequest.FromString(TENSORS)
    expected.model_name, expected.model_version = "small", "1"
    assert service.small.asked == [expected]


async def test_an_infer_that_one_model_fails_is_answered_by_the_next(service: Service) -> None:
    service.small.behaviour = refusing(StatusCode.UNAVAILABLE)
    response = await service.routing.Infer(infer_request())
    assert (response.target.model, response.attempts) == ("large", 2)
    assert open_decision(KEY, response.decision_id, now_s=NOW_S).model == "large"
    after = await service.routing.Infer(infer_request())
    assert (after.target.model, after.attempts) == ("large", 1)


async def test_the_callers_deadline_reaches_the_endpoint(service: Service) -> None:
    await service.routing.Infer(infer_request(), timeout=30)
    (left_s,) = service.small.time_left_s
    assert left_s is not None
    assert 0 < left_s < 31  # on the wire gRPC rounds it up


async def test_without_a_deadline_that_of_the_class_reaches_the_endpoint(service: Service) -> None:
    await service.routing.Infer(infer_request())
    (left_s,) = service.small.time_left_s
    assert left_s is not None
    assert 31 < left_s < 61


async def test_tracing_goes_on_to_the_endpoint_and_credentials_do_not(service: Service) -> None:
    tracing = {"traceparent": "00-1-2-01", "tracestate": "a=b", "baggage": "c=d"}
    kept = tracing | {"x-request-id": "r1"}
    secret = {"authorization": "Bearer s3cret", "x-api-key": "s3cret", "cookie": "s3cret"}
    await service.routing.Infer(infer_request(), metadata=tuple((kept | secret).items()))
    (metadata,) = service.small.metadata
    assert kept.items() <= metadata.items()
    assert not secret.keys() & metadata.keys()


def test_of_two_traces_the_last_is_passed_on() -> None:
    assert forwarded([("traceparent", "a"), ("traceparent", "b")]) == (("traceparent", "b"),)


def test_what_a_client_of_ours_could_not_send_is_not_passed_on() -> None:
    metadata = {"traceparent": "ok", "tracestate": "é", "baggage": "a\nb", "x-request-id": ""}
    assert set(forwarded(metadata.items())) == {("traceparent", "ok"), ("x-request-id", "")}


async def test_a_failure_of_the_endpoint_is_told_as_its_own(service: Service) -> None:
    for endpoint in (service.small, service.large):
        endpoint.behaviour = refusing(StatusCode.RESOURCE_EXHAUSTED, "queue is full")
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await service.routing.Infer(infer_request())
    assert refusal_of(failed.value) == Refusal(
        code=StatusCode.UNAVAILABLE,
        reason="UPSTREAM_RESOURCE_EXHAUSTED",
        domain="upstream",
        message="model large: queue is full",
        fields=[],
        retry_s=None,
    )
    assert service.refusals() == {"UPSTREAM_RESOURCE_EXHAUSTED": 1}


async def test_an_endpoint_of_many_words_does_not_change_what_the_caller_sees(
    service: Service,
) -> None:
    service.small.behaviour = refusing(StatusCode.INVALID_ARGUMENT, "\U0001f600" * 600)
    for _ in range(20):  # gRPC refuses what is a little too long by chance
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await service.routing.Infer(infer_request())
        assert failed.value.code() is StatusCode.INVALID_ARGUMENT


async def test_outcomes_are_settled_and_answered_one_by_one(service: Service) -> None:
    outcomes = [pb.Outcome(decision_id=f"d{i}") for i in range(3)]
    response = await service.routing.Report(pb.ReportRequest(outcomes=outcomes))
    assert [result.reason for result in response.results] == ["R0", "R1", "R2"]
    assert service.ledger.told == outcomes


@pytest.mark.parametrize(("counts", "model"), [(True, "large"), (False, "small")])
async def test_a_fallback_that_is_reported_and_counted_takes_the_endpoint_out_that_failed(
    service: Service, counts: bool, model: str
) -> None:
    service.ledger.counts = counts
    routed = await service.routing.Route(route_request())
    assert routed.target.model == "small"
    attempts = [
        pb.Attempt(model="small", endpoint=routed.target.endpoint),
        pb.Attempt(model="large"),
    ]
    outcome = pb.Outcome(decision_id=routed.decision_id, usage=pb.Usage(), attempts=attempts)
    await service.routing.Report(pb.ReportRequest(outcomes=[outcome]))
    assert (await service.routing.Route(route_request())).target.model == model


async def test_without_a_control_plane_a_report_is_to_be_sent_again(service: Service) -> None:
    service.ledger.failure = ControlPlaneDown("try again")
    found = await refused(service, service.routing.Report(pb.ReportRequest()))
    assert (found.code, found.reason) == (StatusCode.UNAVAILABLE, "CONTROL_PLANE_DOWN")
    assert found.retry_s == 1.0


async def test_more_outcomes_than_one_report_may_hold_are_refused(service: Service) -> None:
    full = pb.ReportRequest(outcomes=[pb.Outcome()] * OUTCOMES_MAX)
    assert len((await service.routing.Report(full)).results) == OUTCOMES_MAX
    full.outcomes.add()
    found = await refused(service, service.routing.Report(full))
    assert (found.code, found.reason) == (StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")
    assert found.fields == ["outcomes"]
    assert len(service.ledger.told) == OUTCOMES_MAX


SEQUENCE = oip_pb2.ModelInferRequest(
    parameters={"sequence_id": oip_pb2.InferParameter(int64_param=1)}
).SerializeToString()
MANY_FIELDS = b"\x3a\x00" * (STEPS_MAX + 1)

# Of the context and the features, which Route and Infer share.
BAD_SHARED: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"traffic_class": "nope"}, {}, "CLASS_UNKNOWN", "context.traffic_class"),
    ({"traffic_class": LONG}, {}, "REQUEST_INVALID", "context.traffic_class"),
    ({"tenant": LONG}, {}, "REQUEST_INVALID", "context.tenant"),
    ({"tenant": "é" * 129}, {}, "REQUEST_INVALID", "context.tenant"),
    ({"user": LONG}, {}, "REQUEST_INVALID", "context.user"),
    ({"response_format": LONG}, {}, "REQUEST_INVALID", "context.response_format"),
    ({"request_id": LONG}, {}, "REQUEST_INVALID", "context.request_id"),
    ({"labels": {LONG: "x"}}, {}, "REQUEST_INVALID", "context.labels"),
    ({"labels": {"x": LONG}}, {}, "REQUEST_INVALID", "context.labels"),
    (
        {"labels": {str(i): "x" for i in range(LABELS_MAX + 1)}},
        {},
        "REQUEST_INVALID",
        "context.labels",
    ),
    ({}, {"domain": "nope"}, "DOMAIN_UNKNOWN", "features.domain"),
    ({}, {"domain": LONG}, "REQUEST_INVALID", "features.domain"),
    ({}, {"capabilities": [LONG]}, "REQUEST_INVALID", "features.capabilities"),
    (
        {},
        {"capabilities": ["tools"] * (CAPABILITIES_MAX + 1)},
        "REQUEST_INVALID",
        "features.capabilities",
    ),
    ({}, {"payload_kind": 7}, "REQUEST_INVALID", "features.payload_kind"),
    ({}, {"capabilities": ["magic"]}, "NO_CANDIDATE", "features.capabilities"),
]
BAD_PAYLOADS = [
    (b"\xff\xff", "PAYLOAD_MALFORMED", "oip_request"),
    (TENSORS[:-1], "PAYLOAD_MALFORMED", "oip_request"),
    (MANY_FIELDS, "PAYLOAD_MALFORMED", "oip_request"),
    (SEQUENCE, "REQUEST_INVALID", "oip_request.parameters"),
]


def check(found: Refusal, reason: str, fields: list[str]) -> None:
    assert (found.reason, found.fields, found.domain) == (reason, fields, "turnout")
    codes = {error.reason: code for error, code in STATUS.items()}
    assert found.code is codes[reason]
    assert found.message


@pytest.mark.parametrize(("context", "features", "reason", "field"), BAD_SHARED)
async def test_bad_input_of_a_route_is_refused_by_its_field(
    service: Service, context: dict[str, Any], features: dict[str, Any], reason: str, field: str
) -> None:
    request = pb.RouteRequest(
        context=pb.RequestContext(**context), features=pb.Features(**features)
    )
    check(await refused(service, service.routing.Route(request)), reason, [field])


@pytest.mark.parametrize(("context", "features", "reason", "field"), BAD_SHARED)
async def test_bad_input_of_an_infer_is_refused_by_its_field(
    service: Service, context: dict[str, Any], features: dict[str, Any], reason: str, field: str
) -> None:
    request = pb.InferRequest(
        context=pb.RequestContext(**context),
        features=pb.Features(**features),
        oip_request=TENSORS,
    )
    check(await refused(service, service.routing.Infer(request)), reason, [field])


@pytest.mark.parametrize(("payload", "reason", "field"), BAD_PAYLOADS)
async def test_a_bad_payload_is_refused_by_its_field(
    service: Service, payload: bytes, reason: str, field: str
) -> None:
    route = pb.RouteRequest(oip_request=payload)
    check(await refused(service, service.routing.Route(route)), reason, [field])
    infer = pb.InferRequest(oip_request=payload)
    check(await refused(service, service.routing.Infer(infer)), reason, [field])


async def test_an_infer_without_a_payload_is_refused(service: Service) -> None:
    found = await refused(service, service.routing.Infer(pb.InferRequest()))
    check(found, "REQUEST_INVALID", ["oip_request"])


async def test_a_payload_that_no_model_takes_has_no_candidate(service: Service) -> None:
    request = pb.RouteRequest(text="draw", features=pb.Features(capabilities=["magic"]))
    found = await refused(service, service.routing.Route(request))
    assert (found.code, found.reason) == (StatusCode.FAILED_PRECONDITION, "NO_CANDIDATE")


async def test_an_oversized_message_is_refused_for_its_size(service: Service) -> None:
    infer = pb.InferRequest(oip_request=bytes(PAYLOAD_BYTES_MAX + 1))
    check(await refused(service, service.routing.Infer(infer)), "PAYLOAD_TOO_LARGE", [])
    route = pb.RouteRequest(text="x" * MESSAGE_BYTES_MAX["/turnout.v1.RoutingService/Route"])
    check(await refused(service, service.routing.Route(route)), "PAYLOAD_TOO_LARGE", [])


@pytest.mark.parametrize(
    "path", ["/turnout.v1.RoutingService/Report", "/inference.GRPCInferenceService/ServerMetadata"]
)
async def test_a_message_that_is_larger_than_its_method_takes_is_refused(
    service: Service, path: str
) -> None:
    most = MESSAGE_BYTES_MAX[path]
    await service.raw(path, unknown_field(most))
    found = await refused(service, service.raw(path, unknown_field(most + 1)))
    check(found, "PAYLOAD_TOO_LARGE", [])
    assert found.message == f"{most + 1:,} bytes: at most {most:,} for {path.rpartition('/')[2]}"


def unknown_field(size_bytes: int) -> bytes:
    """A message of any method: one field that none has."""
    left = size_bytes - 6
    length = bytes([left & 127 | 128, left >> 7 & 127 | 128, left >> 14 & 127 | 128, left >> 21])
    return b"\xfa\x7f" + length + bytes(left)


@pytest.mark.parametrize("method", ["Route", "Infer", "RouteBatch", "ModelInfer"])
async def test_a_request_that_is_larger_than_its_class_takes_is_refused(
    service: Service, method: str
) -> None:
    fits = oip_pb2.ModelInferRequest(raw_input_contents=[bytes(98)]).SerializeToString()
    small = ClassConfig(name="chat", default=True, request_bytes_max=len(fits))
    service.router.configure(config(classes=(small,)))
    assert await sent(service, method, fits) == ""
    error = await sent(service, method, fits + b"\x3a\x00")
    assert error.startswith("102 bytes: class chat takes at most 100;")


async def sent(service: Service, method: str, tensors: bytes) -> str:
    """What a request is refused with, as too large; empty where it is not."""
    route, infer = pb.RouteRequest(oip_request=tensors), pb.InferRequest(oip_request=tensors)
    try:
        if method == "RouteBatch":
            batch = pb.RouteBatchRequest(requests=[route])
            (result,) = (await service.routing.RouteBatch(batch)).results
            return result.refusal.message
        if method == "Route":
            await service.routing.Route(route)
        elif method == "Infer":
            await service.routing.Infer(infer)
        else:
            await service.raw("/inference.GRPCInferenceService/ModelInfer", tensors)
    except grpc.aio.AioRpcError as error:
        found = refusal_of(error)
        return found.message if found.reason == "PAYLOAD_TOO_LARGE" else ""
    return ""


@pytest.mark.parametrize("method", ["Route", "Infer", "RouteBatch", "Report"])
async def test_what_is_no_message_is_refused_as_malformed(service: Service, method: str) -> None:
    call = service.raw(f"/turnout.v1.RoutingService/{method}", b"\xff\xff\xff")
    check(await refused(service, call), "PAYLOAD_MALFORMED", [])


async def test_a_deadline_that_leaves_no_time_asks_nobody_and_changes_nothing(
    service: Service,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await service.routing.Infer(infer_request(), timeout=MARGIN_S / 2)
    # The caller's own clock may end the call before our answer is there.
    assert failed.value.code() is StatusCode.DEADLINE_EXCEEDED
    assert service.endpoints_asked() == 0
    assert service.counters.take_touched() == []


async def test_an_unknown_method_is_unimplemented(service: Service) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await service.raw("/turnout.v1.RoutingService/Nope", b"")
    assert failed.value.code() is StatusCode.UNIMPLEMENTED


async def test_before_a_configuration_a_caller_is_asked_to_come_back() -> None:
    async with running(configured=False) as service:
        found = await refused(service, service.routing.Route(pb.RouteRequest()))
        assert (found.code, found.reason) == (StatusCode.UNAVAILABLE, "NOT_READY")
        assert found.retry_s == 1.0
        found = await refused(service, service.routing.Infer(infer_request()))
        assert found.reason == "NOT_READY"


async def test_a_bug_is_logged_and_tells_the_caller_nothing(service: Service) -> None:
    service.ledger.failure = ZeroDivisionError("s3cret")
    with capture_logs() as logs, pytest.raises(grpc.aio.AioRpcError) as failed:
        await service.routing.Report(pb.ReportRequest())
    assert refusal_of(failed.value) == Refusal(
        StatusCode.INTERNAL, "INTERNAL", "turnout", "internal error", []
    )
    assert "s3cret" not in str(failed.value)
    assert [log["event"] for log in logs] == ["unexpected error"]
    assert isinstance(logs[0]["exc_info"], ZeroDivisionError)
    assert service.refusals() == {"INTERNAL": 1}


async def test_refused_requests_spend_no_credit(service: Service) -> None:
    service.router.publish(WeightTable("p2", {CELL: shares_of(0.5, 0.5)}))
    taken = []
    for _ in range(4):
        response = await service.routing.Route(route_request())
        taken.append(response.target.model)
        request = route_request(request_id=LONG)
        await refused(service, service.routing.Route(request))
        request = pb.RouteRequest(features=pb.Features(capabilities=["magic"]))
        await refused(service, service.routing.Route(request))
    assert taken == ["small", "large", "small", "large"]


texts = st.text(st.characters(codec="utf-8"), max_size=300)
names = st.sampled_from(["", "chat", "meta", "law", "other", "nope", "tools"])
uint32s = st.integers(0, 2**32 - 1)
messages = st.builds(
    oip_pb2.ModelInferRequest, model_name=texts, id=texts, raw_input_contents=st.lists(st.binary())
).map(oip_pb2.ModelInferRequest.SerializeToString)
payloads = messages | st.binary(max_size=100)
contexts = st.builds(
    pb.RequestContext,
    traffic_class=names | texts,
    tenant=texts,
    user=texts,
    labels=st.dictionaries(texts, texts, max_size=3),
    priority=st.integers(-(2**31), 2**31 - 1),
    response_format=texts,
    request_id=texts,
)
features = st.builds(
    pb.Features,
    input_tokens=st.none() | uint32s,
    domain=names | texts,
    capabilities=st.lists(names | texts, max_size=20),
    payload_kind=st.integers(0, 3),
)
route_requests = st.one_of(
    st.builds(pb.RouteRequest, context=contexts, features=features, dry_run=st.booleans()),
    st.builds(pb.RouteRequest, context=contexts, features=features, text=texts),
    st.builds(pb.RouteRequest, context=contexts, features=features, oip_request=payloads),
)
infer_requests = st.builds(
    pb.InferRequest, context=contexts, features=features, oip_request=payloads
)
METHODS = {
    "Route": route_requests.map(pb.RouteRequest.SerializeToString),
    "Infer": infer_requests.map(pb.InferRequest.SerializeToString),
}
REASONS = {error.reason for error in STATUS}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(data=st.data())
async def test_any_request_is_answered_or_refused_for_a_reason(
    service: Service, method: str, data: st.DataObject
) -> None:
    request = data.draw(METHODS[method] | st.binary(max_size=100))
    service.counters.take_touched()
    asked = service.endpoints_asked()
    try:
        await service.raw(f"/turnout.v1.RoutingService/{method}", request)
    except grpc.aio.AioRpcError as error:
        found = refusal_of(error)
        assert found.reason in REASONS
        check(found, found.reason, found.fields)
        assert service.counters.take_touched() == []
        assert service.endpoints_asked() == asked
