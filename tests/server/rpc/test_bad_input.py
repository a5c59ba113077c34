"""Bad input over a real connection: each is refused by its field and changes nothing."""

from typing import Any

import grpc
import pytest
from grpc import StatusCode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from server.config.classes import ClassConfig
from server.routing.journey import MARGIN_S
from server.routing.selector import WeightTable
from server.rpc.errors import STATUS
from server.rpc.method_limits import MESSAGE_BYTES_MAX, PAYLOAD_BYTES_MAX
from server.rpc.oip_wire import STEPS_MAX
from server.rpc.shapes import CAPABILITIES_MAX, LABELS_MAX
from server.wire import oip_pb2
from tests.server.routing.configs import config
from tests.server.rpc.requests import (
    LONG,
    TENSORS,
    check,
    contexts,
    features,
    infer_request,
    payloads,
    route_request,
    route_requests,
)
from tests.server.rpc.service import (
    CELL,
    Refusal,
    Service,
    refusal_of,
    refused,
    running,
    shares_of,
)
from turnout.v1 import routing_pb2 as pb

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
    assert logs[0]["error"] == "ZeroDivisionError"
    assert "s3cret" not in str(logs)
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
