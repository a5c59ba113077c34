"""Infer over a real connection: who is asked, with what, and what comes back."""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from server.control.cell_messages import to_message
from server.routing.decision_id import Kind, open_decision
from server.rpc.routing import forwarded
from server.wire import oip_pb2
from tests.server.rpc.requests import TENSORS, infer_request
from tests.server.rpc.service import (
    CELL,
    KEY,
    NOW_S,
    Refusal,
    Service,
    refusal_of,
)
from tests.server.upstream.endpoint import refusing
from turnout.v1 import routing_pb2 as pb


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
