"""Turnout called as if it were one model server of the Open Inference Protocol."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.routing.decision_id import Kind, open_decision
from server.rpc.convert import TEXT_BYTES_MAX
from server.rpc.errors import STATUS
from server.rpc.method_limits import PAYLOAD_BYTES_MAX
from server.wire import oip_pb2
from tests.server.rpc.service import (
    CELL,
    KEY,
    NOW_S,
    VERSION,
    Service,
    refusal_of,
    refused,
    running,
)
from tests.server.upstream.endpoint import refusing

INFER = "/inference.GRPCInferenceService/ModelInfer"
LONG = "x" * (TEXT_BYTES_MAX + 1)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running() as made:
        yield made


def infer_request(name: str = "auto", **changes: Any) -> oip_pb2.ModelInferRequest:
    return oip_pb2.ModelInferRequest(
        model_name=name, id="r1", raw_input_contents=[b"\0\1\2\3"], **changes
    )


async def routed_class(service: Service, name: str, **metadata: str) -> str:
    """The class that a request was put in."""
    await service.oip.ModelInfer(
        infer_request(name),
        metadata=tuple((key.replace("_", "-"), value) for key, value in metadata.items()),
    )
    ((cell, *_),) = service.counters.take_touched()
    return cell.traffic_class


async def test_an_answer_is_the_models_own_and_names_it(service: Service) -> None:
    response = await service.oip.ModelInfer(infer_request())
    assert response == oip_pb2.ModelInferResponse(model_name="small", model_version="1", id="r1")


async def test_a_response_passes_byte_for_byte(service: Service) -> None:
    async def answer(request: bytes, context: object) -> bytes:
        return b"\xff not read by us"

    service.small.behaviour = answer
    response = await service.raw(INFER, infer_request().SerializeToString())
    assert response == b"\xff not read by us"


async def test_a_request_goes_on_unchanged_but_for_the_models_name_and_version(
    service: Service,
) -> None:
    request = infer_request(inputs=[oip_pb2.ModelInferRequest.InferInputTensor(name="x")])
    await service.oip.ModelInfer(request)
    request.model_name, request.model_version = "small", "1"
    assert service.small.asked == [request]


@pytest.mark.parametrize(
    ("name", "metadata", "traffic_class"),
    [
        ("auto", {}, "chat"),
        ("", {}, "chat"),
        ("chat", {}, "chat"),
        ("meta", {}, "meta"),
        ("auto", {"x_team": "blue"}, "meta"),
        ("chat", {"x_team": "blue"}, "chat"),
        ("auto", {"turnout_tenant": "acme", "turnout_user": "ada"}, "acme"),
        ("auto", {"turnout_tenant": "acme"}, "chat"),
    ],
)
async def test_a_models_name_is_a_class_or_leaves_it_to_the_rules(
    service: Service, name: str, metadata: dict[str, str], traffic_class: str
) -> None:
    assert await routed_class(service, name, **metadata) == traffic_class


async def test_what_was_done_is_told_in_metadata(service: Service) -> None:
    service.small.behaviour = refusing(StatusCode.UNAVAILABLE)
    call = service.oip.ModelInfer(infer_request())
    await call
    before = {key: value for key, value in await call.initial_metadata()}
    after = {key: value for key, value in await call.trailing_metadata()}
    assert before["turnout-model"] == "large"
    assert (after["turnout-attempts"], after["turnout-cost-nano-usd"]) == ("2", "10000000")
    opened = open_decision(KEY, str(before["turnout-decision-id"]), now_s=NOW_S)
    assert (opened.kind, opened.cell, opened.model) == (Kind.INFER, CELL, "large")


async def test_tracing_goes_on_to_the_endpoint_and_credentials_do_not(service: Service) -> None:
    metadata = (("traceparent", "00-1-2-01"), ("authorization", "Bearer s3cret"))
    await service.oip.ModelInfer(infer_request(), metadata=metadata)
    assert service.small.metadata[0]["traceparent"] == "00-1-2-01"
    assert "authorization" not in service.small.metadata[0]


async def test_the_callers_deadline_reaches_the_endpoint(service: Service) -> None:
    await service.oip.ModelInfer(infer_request(), timeout=30)
    (left_s,) = service.small.time_left_s
    assert left_s is not None
    assert 0 < left_s < 31


async def test_a_failure_of_the_endpoint_is_told_as_its_own(service: Service) -> None:
    service.small.behaviour = refusing(StatusCode.INVALID_ARGUMENT, "shape is [1, 3]")
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await service.oip.ModelInfer(infer_request())
    found = refusal_of(failed.value)
    assert (found.code, found.reason) == (StatusCode.INVALID_ARGUMENT, "UPSTREAM_INVALID_ARGUMENT")
    assert (found.domain, found.message) == ("upstream", "model small: shape is [1, 3]")


SEQUENCE = {"sequence_id": oip_pb2.InferParameter(int64_param=1)}
BAD: list[tuple[oip_pb2.ModelInferRequest, str, list[str]]] = [
    (infer_request("nope"), "CLASS_UNKNOWN", ["model_name"]),
    (infer_request(LONG), "REQUEST_INVALID", ["model_name"]),
    (infer_request(model_version="1"), "REQUEST_INVALID", ["model_version"]),
    (infer_request("chat", model_version="1"), "REQUEST_INVALID", ["model_version"]),
    (infer_request(parameters=SEQUENCE), "REQUEST_INVALID", ["parameters"]),
]


@pytest.mark.parametrize(("request_", "reason", "fields"), BAD)
async def test_bad_input_is_refused_by_its_field(
    service: Service, request_: oip_pb2.ModelInferRequest, reason: str, fields: list[str]
) -> None:
    found = await refused(service, service.oip.ModelInfer(request_))
    assert (found.code, found.reason) == (StatusCode.INVALID_ARGUMENT, reason)
    assert (found.fields, found.domain) == (fields, "turnout")


@pytest.mark.parametrize("key", ["turnout-tenant", "turnout-user"])
async def test_a_tenant_or_user_that_is_too_long_is_refused(service: Service, key: str) -> None:
    call = service.oip.ModelInfer(infer_request(), metadata=((key, LONG),))
    found = await refused(service, call)
    assert (found.reason, found.fields) == ("REQUEST_INVALID", [key])


async def test_what_is_no_request_is_refused_as_malformed(service: Service) -> None:
    found = await refused(service, service.raw(INFER, b"\xff\xff"))
    assert (found.code, found.reason) == (StatusCode.INVALID_ARGUMENT, "PAYLOAD_MALFORMED")


async def test_an_oversized_message_is_refused_for_its_size(service: Service) -> None:
    oversized = oip_pb2.ModelInferRequest(raw_input_contents=[bytes(PAYLOAD_BYTES_MAX)])
    found = await refused(service, service.oip.ModelInfer(oversized))
    assert (found.code, found.reason) == (StatusCode.RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE")


async def test_the_server_is_live_ready_and_has_a_name(service: Service) -> None:
    assert (await service.oip.ServerLive(oip_pb2.ServerLiveRequest())).live
    assert (await service.oip.ServerReady(oip_pb2.ServerReadyRequest())).ready
    assert await service.oip.ServerMetadata(
        oip_pb2.ServerMetadataRequest()
    ) == oip_pb2.ServerMetadataResponse(name="turnout", version=VERSION)


@pytest.mark.parametrize(("name", "ready"), [("chat", True), ("auto", True), ("nope", False)])
async def test_a_class_is_ready_as_a_model_is(service: Service, name: str, ready: bool) -> None:
    response = await service.oip.ModelReady(oip_pb2.ModelReadyRequest(name=name))
    assert response.ready is ready


@pytest.mark.parametrize(
    ("name", "ready"), [("small", True), ("text", True), ("large", False), ("gone", False)]
)
async def test_a_model_of_the_catalog_is_ready_while_an_endpoint_of_it_is_in(
    service: Service, name: str, ready: bool
) -> None:
    service.router.health.record_failure((1, service.large.address), sent_s=NOW_S, now_s=NOW_S)
    service.health.publish(service.router.readiness(NOW_S))
    response = await service.oip.ModelReady(oip_pb2.ModelReadyRequest(name=name))
    assert response.ready is ready


async def test_without_a_model_for_tensors_nothing_is_ready_but_models_for_text(
    service: Service,
) -> None:
    for endpoint in ((0, service.small.address), (1, service.large.address)):
        service.router.health.record_failure(endpoint, sent_s=NOW_S, now_s=NOW_S)
    service.health.publish(service.router.readiness(NOW_S))
    assert not (await service.oip.ServerReady(oip_pb2.ServerReadyRequest())).ready
    ready = {
        name: (await service.oip.ModelReady(oip_pb2.ModelReadyRequest(name=name))).ready
        for name in ("chat", "auto", "small", "text")
    }
    assert ready == {"chat": False, "auto": False, "small": False, "text": True}
    assert (await service.oip.ServerLive(oip_pb2.ServerLiveRequest())).live


async def test_a_server_that_drains_is_live_and_not_ready(service: Service) -> None:
    service.health.drain()
    assert (await service.oip.ServerLive(oip_pb2.ServerLiveRequest())).live
    assert not (await service.oip.ServerReady(oip_pb2.ServerReadyRequest())).ready
    for name in ("auto", "chat", "small"):
        assert not (await service.oip.ModelReady(oip_pb2.ModelReadyRequest(name=name))).ready


@pytest.mark.parametrize("name", ["chat", "auto"])
async def test_a_class_has_metadata_as_a_model_has(service: Service, name: str) -> None:
    response = await service.oip.ModelMetadata(oip_pb2.ModelMetadataRequest(name=name))
    assert response == oip_pb2.ModelMetadataResponse(name=name, platform="turnout")


@pytest.mark.parametrize("name", ["nope", "", "x" * 60_000])
async def test_there_is_no_metadata_of_an_unknown_class(service: Service, name: str) -> None:
    call = service.oip.ModelMetadata(oip_pb2.ModelMetadataRequest(name=name))
    found = await refused(service, call)
    assert (found.code, found.reason) == (StatusCode.NOT_FOUND, "NOT_FOUND")
    assert found.fields == ["name"]


async def test_before_a_configuration_the_server_is_live_but_not_ready() -> None:
    async with running(configured=False) as service:
        assert (await service.oip.ServerLive(oip_pb2.ServerLiveRequest())).live
        assert not (await service.oip.ServerReady(oip_pb2.ServerReadyRequest())).ready
        for name in ("auto", "chat"):
            request = oip_pb2.ModelReadyRequest(name=name)
            assert not (await service.oip.ModelReady(request)).ready
        found = await refused(service, service.oip.ModelInfer(infer_request()))
        assert (found.code, found.reason) == (StatusCode.UNAVAILABLE, "NOT_READY")


texts = st.text(st.characters(codec="utf-8"), max_size=300)
requests = st.builds(
    oip_pb2.ModelInferRequest,
    model_name=st.sampled_from(["auto", "chat", ""]) | texts,
    model_version=st.just("") | texts,
    id=texts,
    raw_input_contents=st.lists(st.binary(max_size=20), max_size=2),
).map(oip_pb2.ModelInferRequest.SerializeToString)
REASONS = {error.reason: code for error, code in STATUS.items()}


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(request=requests | st.binary(max_size=100))
async def test_any_request_is_answered_or_refused_for_a_reason(
    service: Service, request: bytes
) -> None:
    service.counters.take_touched()
    asked = service.endpoints_asked()
    try:
        await service.raw(INFER, request)
    except grpc.aio.AioRpcError as error:
        found = refusal_of(error)
        assert found.code is REASONS[found.reason]
        assert service.counters.take_touched() == []
        assert service.endpoints_asked() == asked
