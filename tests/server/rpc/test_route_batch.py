"""RouteBatch over a real connection, on either transport: each request is decided or refused."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from math import ceil
from typing import cast

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.config.classes import ClassConfig, DomainConfig
from server.config.match import KeywordsConfig, MatchConfig
from server.dispatch.dispatcher import Dispatcher
from server.routing.counters import Counters, Leg
from server.routing.decision_id import Kind, Sealer, open_decision
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from server.rpc.batch import (
    KNOWN_MAX,
    PLANNED_S,
    ROW_S,
    SLICE_S,
    UNPLANNED_S,
    BatchCall,
)
from server.rpc.batch_results import REFUSALS_MAX
from server.rpc.errors import Context
from server.rpc.method_limits import MESSAGE_BYTES_MAX
from server.rpc.openai_chat import INLINE_BYTES_MAX
from server.rpc.reports import Settle
from server.rpc.routing import ReadLargeChat, RoutingServicer
from server.rpc.shapes import REQUESTS_MAX
from tests.contract.serving import TRANSPORTS
from tests.server.routing.configs import config
from tests.server.routing.configs import model as model_config
from tests.server.rpc.service import CELL, KEY, NOW_S, Service, refused, running, shares_of
from tests.server.rpc.test_routing import LONG, TENSORS, chat_request, check, route_request
from tests.server.rpc.test_routing import route_requests as any_requests
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


class Clock:
    """Each reading of a request takes so long, and nothing else."""

    def __init__(self, step_s: float = 0.0) -> None:
        self._step_s = step_s
        self._now_s = 0.0

    def __call__(self) -> float:
        self._now_s += self._step_s
        return self._now_s


async def answered_in_slices(
    service: Service, requests: list[pb.RouteRequest], step_s: float = 0.0
) -> list[int]:
    """How many results each slice has; between two of them comes a new plan."""
    plans = 1

    async def turn() -> None:
        nonlocal plans
        plans += 1
        publish(service, plans)

    publish(service, plans)
    call = BatchCall(
        service.router,
        {},
        lambda _: None,
        turn,
        now_s=lambda: NOW_S,
        clock=Clock(step_s),
        chance=lambda: 0.5,
    )
    data = pb.RouteBatchRequest(requests=requests).SerializeToString()
    parts = [pb.RouteBatchResponse.FromString(part) async for part in call.answer(data)]
    for number, part in enumerate(parts, 1):
        assert {route.plan_id for route in part.routes} <= {f"p{number}"}
    assert plans == len(parts)
    return [len(part.results) for part in parts]


def publish(service: Service, number: int) -> None:
    service.router.publish(WeightTable(f"p{number}", {CELL: shares_of(1.0)}))


def in_a_slice(each_s: float) -> int:
    """Requests that are decided alike, where only what they will take counts."""
    return ceil((SLICE_S - ROW_S) / each_s)


USERS = [route_request(user=f"u{number}") for number in range(1_000)]
META = [
    pb.RouteRequest(
        context=pb.RequestContext(traffic_class="meta"), features=pb.Features(input_tokens=n)
    )
    for n in range(1_000)
]
# How long one takes to decide: those that are decided alike take the same, read together or not.
ESTIMATED = {
    "alike": ([route_request()] * 1_000, PLANNED_S),
    "unlike": (USERS, PLANNED_S),
    "without a plan": (META, UNPLANNED_S),
    "alike without a plan": ([META[0]] * 1_000, UNPLANNED_S),
}


@pytest.mark.parametrize("kind", ESTIMATED)
async def test_a_slice_ends_before_deciding_it_takes_too_long_and_each_is_of_one_plan(
    service: Service, kind: str
) -> None:
    requests, each_s = ESTIMATED[kind]
    most = in_a_slice(each_s)
    found = await answered_in_slices(service, requests)
    assert found == [most] * (1_000 // most) + [1_000 % most]


@pytest.mark.parametrize(
    "request_",
    [
        route_request(),
        route_request(traffic_class="nope"),
        pb.RouteRequest(text=5_000 * "x "),
        pb.RouteRequest(oip_request=TENSORS),
        chat_request("hello"),
    ],
    ids=["alike", "refused", "large", "tensors", "chat"],
)
async def test_a_slice_ends_when_reading_it_took_its_time_whatever_was_read(
    service: Service, request_: pb.RouteRequest
) -> None:
    found = await answered_in_slices(service, [request_] * 100, SLICE_S / 8)
    assert sum(found) == 100
    assert max(found) <= 8


async def test_each_slice_has_a_request_however_long_it_takes(service: Service) -> None:
    assert await answered_in_slices(service, [route_request()] * 5, 2 * SLICE_S) == [1] * 5


async def test_each_row_of_a_slice_counts_as_a_decision(service: Service) -> None:
    features = [
        pb.Features(input_tokens=n, payload_kind=pb.PAYLOAD_KIND_TENSORS) for n in (1, 5_000)
    ]
    sizes = [pb.RouteRequest(features=one) for one in features]
    first, *_ = await answered_in_slices(service, sizes * 500)
    spent_s = 2 * ROW_S + (PLANNED_S + UNPLANNED_S) * first / 2  # the plan has but one of them
    assert SLICE_S <= spent_s < SLICE_S + UNPLANNED_S


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


class Called:
    """A call: its metadata, and how many bytes are held for it."""

    held = 0

    def hold(self, more_bytes: int) -> None:
        self.held += more_bytes

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-team", "blue"),)


async def test_a_configuration_that_comes_between_slices_finds_the_metadata_of_the_call() -> None:
    router = Router(Selector(), Sealer(KEY, boot=7), Counters(), chance=lambda: 0.5)
    router.configure(config())
    servicer = RoutingServicer(
        router,
        cast("Dispatcher", None),  # a batch forwards nothing, and reports nothing
        cast("Settle", None),
        cast("ReadLargeChat", None),
        lambda _: None,
        now_s=lambda: NOW_S,
        chance=lambda: 0.5,
    )
    users = [route_request(user=f"u{number}") for number in range(in_a_slice(PLANNED_S) + 1)]
    data = pb.RouteBatchRequest(requests=users).SerializeToString()
    called = Called()
    call = servicer.RouteBatch(data, cast("Context", called))
    answering = asyncio.create_task(call)
    await asyncio.sleep(0)  # its first slice
    blue = ClassConfig(name="blue", match=MatchConfig(metadata={"x-team": ("blue",)}))
    router.configure(config(classes=(blue, ClassConfig(name="chat", default=True))))
    answer = b"".join(await answering)
    assert called.held == len(answer)  # what is answered is counted while it grows
    response = pb.RouteBatchResponse.FromString(answer)
    first, last = response.results[0], response.results[-1]
    cells = [response.routes[result.route].cell for result in (first, last)]
    assert [cell.traffic_class for cell in cells] == ["chat", "blue"]
