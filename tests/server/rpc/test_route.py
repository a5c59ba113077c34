"""Route over a real connection: what is answered, and why."""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from server.control.cell_messages import to_message
from server.routing.catalog import PayloadKind
from server.routing.counters import NO_MODEL, Leg
from server.routing.decision_id import Kind, open_decision
from server.routing.selector import WeightTable
from server.rpc.openai_chat import BYTES_MAX
from server.wire import oip_pb2
from tests.server.rpc.requests import TENSORS, chat_request, infer_request, route_request
from tests.server.rpc.service import (
    CELL,
    KEY,
    NOW_S,
    Service,
    refusal_of,
    refused,
    shares_of,
)
from turnout.v1 import routing_pb2 as pb

CHAT_SHED = {("chat", kind.value): (1.0, "capacity of small") for kind in PayloadKind}


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
