"""RouteBatch over a real connection, on either transport: each request is decided or refused."""

from collections import Counter
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.config.classes import DomainConfig
from server.config.match import KeywordsConfig, MatchConfig
from server.routing.counters import Leg
from server.routing.decision_id import Kind, open_decision
from server.routing.selector import WeightTable
from server.rpc.batch import (
    KNOWN_MAX,
)
from server.rpc.batch_results import REFUSALS_MAX
from server.rpc.method_limits import MESSAGE_BYTES_MAX
from server.rpc.openai_chat import INLINE_BYTES_MAX
from server.rpc.shapes import REQUESTS_MAX
from tests.contract.serving import TRANSPORTS
from tests.server.routing.configs import config
from tests.server.routing.configs import model as model_config
from tests.server.rpc.requests import LONG, TENSORS, chat_request, check, route_request
from tests.server.rpc.requests import route_requests as any_requests
from tests.server.rpc.service import CELL, KEY, NOW_S, Service, refused, running, shares_of
from turnout.v1 import routing_pb2 as pb

TIMEOUT_S = 20.0
# Each with the error that Route has for it.
BAD = (
    route_request(traffic_class="nope"),
    route_request(request_id=LONG),
    route_request(labels={f"k{i}": "" for i in range(100)}),
    pb.RouteRequest(features=pb.Features(domain="nope")),
    pb.RouteRequest(features=pb.Features(capabilities=["magic"])),
    pb.RouteRequest(oip_request=b"\xff"),
    chat_request(3),
)


@pytest.fixture(params=TRANSPORTS)
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    async with running(transport=request.param) as made:
        yield made


async def batch(service: Service, *requests: pb.RouteRequest) -> pb.RouteBatchResponse:
    return await service.routing.RouteBatch(
        pb.RouteBatchRequest(requests=requests), timeout=TIMEOUT_S
    )


def models(response: pb.RouteBatchResponse) -> list[str]:
    return [response.routes[result.route].target.model for result in response.results]


async def answer_of(
    service: Service, request: pb.RouteRequest
) -> pb.RouteResponse | tuple[int, str | None]:
    """What Route says, or the code and the message that it refuses with."""
    try:
        return await service.routing.Route(request, timeout=TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return error.code().value[0], error.details()


def details(status: status_pb2.Status) -> list[Message]:
    kinds = (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest)
    return [
        kind.FromString(detail.value)
        for detail in status.details
        for kind in kinds
        if detail.Is(kind.DESCRIPTOR)
    ]


async def test_each_request_has_an_id_of_its_own_and_shares_its_route(service: Service) -> None:
    service.router.publish(WeightTable("p2", {CELL: shares_of(0.25, 0.75)}))
    response = await batch(service, *[route_request()] * 100)
    assert len(response.routes) == 2
    assert Counter(models(response)) == {"small": 25, "large": 75}
    assert len({result.decision_id for result in response.results}) == 100
    for result, model in zip(response.results, models(response), strict=True):
        opened = open_decision(KEY, result.decision_id, now_s=NOW_S)
        assert (opened.kind, opened.cell, opened.model) == (Kind.ROUTE, CELL, model)
    assert service.endpoints_asked() == 0


async def test_a_batch_of_one_says_what_a_route_says(service: Service) -> None:
    request = route_request(request_id="r9", labels={"app": "audit"})
    alone = await service.routing.Route(request, timeout=TIMEOUT_S)
    response = await batch(service, request)
    (route,), (result,) = response.routes, response.results
    assert open_decision(KEY, result.decision_id, now_s=NOW_S).audit_probability == 1
    alone.ClearField("decision_id")
    assert alone == pb.RouteResponse(
        plan_id=route.plan_id,
        cell=route.cell,
        target=route.target,
        fallbacks=route.fallbacks,
        reason=route.reason,
        expected_cost_nano_usd=route.expected_cost_nano_usd,
        reuse_for=route.reuse_for,
        report_wanted=result.report_wanted,
        request_id=result.request_id,
    )


async def test_what_is_shed_is_refused_by_itself_and_counted(service: Service) -> None:
    service.router.publish(
        WeightTable("p2", {CELL: shares_of(1.0)}, {}, {CELL: (0.75, "capacity of small")})
    )
    response = await batch(service, *[route_request()] * 100)
    refusals = [result.refusal for result in response.results if result.HasField("refusal")]
    assert len(refusals) == 75
    (refusal,) = {refusal.SerializeToString() for refusal in refusals}
    status = status_pb2.Status.FromString(refusal)
    (info,) = details(status)
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert (status.code, info.reason) == (grpc.StatusCode.UNAVAILABLE.value[0], "SHED")
    assert info.metadata["binds"] == "capacity of small"
    assert service.refusals() == {"SHED": 75}


async def test_requests_that_differ_are_read_each_for_itself(service: Service) -> None:
    tokens = [pb.RouteRequest(features=pb.Features(input_tokens=n)) for n in (0, 10, 5_000, 0)]
    response = await batch(
        service,
        *tokens,
        route_request(traffic_class="meta", request_id="a"),
        route_request(traffic_class="meta", request_id="b"),
        pb.RouteRequest(text="hello"),
        pb.RouteRequest(oip_request=TENSORS),
    )
    cells = [response.routes[result.route].cell for result in response.results]
    assert [cell.size_bucket for cell in cells[:4]] == ["s0", "s0", "s1", "s0"]
    assert [cell.traffic_class for cell in cells[4:6]] == ["meta", "meta"]
    assert [result.request_id for result in response.results[3:7]] == ["", "a", "b", ""]
    assert models(response)[6:] == ["text", "small"]


async def test_metadata_of_the_call_is_that_of_each_request(service: Service) -> None:
    response = await service.routing.RouteBatch(
        pb.RouteBatchRequest(requests=[route_request()] * 2),
        metadata=(("x-team", "blue"),),
        timeout=TIMEOUT_S,
    )
    assert {route.cell.traffic_class for route in response.routes} == {"meta"}


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
async def test_a_bad_request_is_refused_as_route_refuses_it_and_the_others_are_decided(
    service: Service, bad: pb.RouteRequest
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await service.routing.Route(bad, timeout=TIMEOUT_S)
    metadata = dict(failed.value.trailing_metadata())
    alone = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    counted = service.refusals()
    response = await batch(service, route_request(), bad, route_request(), bad)
    good, refused_, also_good, twice = response.results
    status = status_pb2.Status.FromString(refused_.refusal.SerializeToString())
    assert (status.code, status.message) == (alone.code, alone.message)
    assert details(status) == details(alone)
    assert refused_ == twice
    assert (refused_.decision_id, refused_.request_id) == ("", "")
    assert good.decision_id
    assert also_good.decision_id
    assert service.counters.get(Leg(CELL, "small", "small")).decided == 2
    assert service.refusals() == {reason: 3 * n for reason, n in counted.items()}


async def test_a_dry_run_is_refused_in_a_batch(service: Service) -> None:
    dry, decided = (await batch(service, pb.RouteRequest(dry_run=True), route_request())).results
    info, violations = details(status_pb2.Status.FromString(dry.refusal.SerializeToString()))
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert isinstance(violations, error_details_pb2.BadRequest)
    assert info.reason == "REQUEST_INVALID"
    assert [each.field for each in violations.field_violations] == ["dry_run"]
    assert decided.decision_id


async def test_a_chat_that_is_not_read_on_the_loop_is_refused_in_a_batch(service: Service) -> None:
    least = len(chat_request("").openai_chat)
    fits = chat_request("x" * (INLINE_BYTES_MAX - least))
    above = chat_request("x" * (INLINE_BYTES_MAX - least + 1))
    read, refused_ = (await batch(service, fits, above)).results
    assert read.decision_id
    info, violations = details(status_pb2.Status.FromString(refused_.refusal.SerializeToString()))
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert isinstance(violations, error_details_pb2.BadRequest)
    assert info.reason == "PAYLOAD_TOO_LARGE"
    (violation,) = violations.field_violations
    assert violation.field == "openai_chat"
    assert "use Route for it" in violation.description


async def test_an_empty_batch_is_answered_by_an_empty_one(service: Service) -> None:
    assert await batch(service) == pb.RouteBatchResponse()


async def test_a_batch_of_too_many_is_refused_whole(service: Service) -> None:
    response = await batch(service, *[pb.RouteRequest()] * REQUESTS_MAX)
    assert len(response.results) == REQUESTS_MAX
    assert len(response.routes) == 1
    too_many = batch(service, *[pb.RouteRequest()] * (REQUESTS_MAX + 1))
    check(await refused(service, too_many), "REQUEST_INVALID", ["requests"])


async def test_a_batch_that_is_too_large_is_refused_whole(service: Service) -> None:
    half = pb.RouteRequest(
        text="x" * (MESSAGE_BYTES_MAX["/turnout.v1.RoutingService/RouteBatch"] // 2)
    )
    check(await refused(service, batch(service, half, half)), "PAYLOAD_TOO_LARGE", [])


async def test_a_request_that_is_no_message_is_refused_by_itself(service: Service) -> None:
    good = pb.RouteBatchRequest(requests=[route_request()]).SerializeToString()
    data = await service.raw("/turnout.v1.RoutingService/RouteBatch", good + b"\x0a\x01\xff" + good)
    results = pb.RouteBatchResponse.FromString(data).results
    assert [bool(result.decision_id) for result in results] == [True, False, True]
    assert results[1].refusal.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


async def test_large_requests_of_a_batch_are_read_as_route_reads_them(service: Service) -> None:
    law = DomainConfig(name="law", match=MatchConfig(keywords=KeywordsConfig(any_of=("clause",))))
    text = model_config("text", protocol="openai", endpoints=("text:1",))
    service.router.configure(config(text, domains=(law,)))
    context = pb.RequestContext(request_id="r9")
    requests = [
        pb.RouteRequest(context=context, text=5_000 * "x " + "a clause"),
        pb.RouteRequest(text=5_000 * "x "),
        pb.RouteRequest(text=16_384 * "x "),
    ]
    response = await batch(service, *requests, *requests)
    routes = [response.routes[result.route] for result in response.results]
    assert [route.cell.domain for route in routes] == ["law", "other", "other"] * 2
    assert [result.request_id for result in response.results] == ["r9", "", ""] * 2
    for request, route in zip(requests, routes, strict=False):
        alone = await service.routing.Route(request, timeout=TIMEOUT_S)
        assert (route.cell, route.target) == (alone.cell, alone.target)


async def test_equal_requests_are_each_answered_with_their_own_id(service: Service) -> None:
    named = route_request(request_id="r1", labels={"app": "audit"})
    tokens = pb.RouteRequest(features=pb.Features(input_tokens=5_000))
    response = await batch(service, named, named, tokens, tokens, named)
    assert [result.request_id for result in response.results] == ["r1", "r1", "", "", "r1"]
    assert len({result.decision_id for result in response.results}) == 5
    sizes = [response.routes[result.route].cell.size_bucket for result in response.results]
    assert sizes == ["s0", "s0", "s1", "s1", "s0"]


async def test_more_kinds_of_requests_and_refusals_than_are_kept_are_answered_too(
    service: Service,
) -> None:
    users = [route_request(user=f"u{n}") for n in range(KNOWN_MAX + 1)]
    nopes = [route_request(traffic_class=f"n{n}") for n in range(REFUSALS_MAX + 1)]
    results = (await batch(service, *users, *nopes, *users, *nopes)).results
    assert sum(bool(result.decision_id) for result in results) == 2 * len(users)
    messages = [result.refusal.message for result in results if result.HasField("refusal")]
    assert len(set(messages)) == len(nopes)
    assert messages[: len(nopes)] == messages[len(nopes) :]


async def test_before_a_configuration_a_batch_is_refused_whole() -> None:
    async with running(configured=False) as service:
        found = await refused(service, batch(service, route_request()))
        assert (found.reason, found.retry_s) == ("NOT_READY", 1.0)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.lists(any_requests, max_size=8))
async def test_any_batch_is_answered_and_every_request_by_itself(
    service: Service, requests: list[pb.RouteRequest]
) -> None:
    response = await batch(service, *requests)
    assert len(response.results) == len(requests)
    for request, result in zip(requests, response.results, strict=True):
        if request.dry_run:
            assert result.HasField("refusal")
            continue
        alone = await answer_of(service, request)
        if isinstance(alone, tuple):
            assert (result.refusal.code, result.refusal.message) == alone
            continue
        route = response.routes[result.route]
        assert (route.cell, route.target, route.reason) == (alone.cell, alone.target, alone.reason)
        assert route.expected_cost_nano_usd == alone.expected_cost_nano_usd
        opened = open_decision(KEY, result.decision_id, now_s=NOW_S)
        assert opened.model == alone.target.model
