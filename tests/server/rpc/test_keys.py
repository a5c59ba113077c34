"""What callers show, over real connections: who is served, and how the others are refused."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from server.routing.callers import Shown
from server.routing.errors import RoutingError
from server.routing.keys import KeptSecret, Key, digest_of, whole
from server.rpc.callers import names_in
from server.rpc.errors import STATUS
from server.wire import oip_pb2
from tests.server.rpc.requests import infer_request, route_request
from tests.server.rpc.service import NOW_S, Refusal, Service, refusal_of, running
from tests.server.rpc.test_oip import infer_request as oip_request
from tests.server.rpc.words import Words, event
from turnout.v1 import routing_pb2 as pb

A, B = whole("aaaaaaaaaa", 43 * "a"), whole("bbbbbbbbbb", 43 * "b")
SHOWN_A = Shown([f"Bearer {A}"])
OF_A: dict[str, Any] = {"id": "aaaaaaaaaa", "tenant": "acme"}

Call = Callable[[Service, "Metadata"], Awaitable[object]]
Metadata = tuple[tuple[str, str], ...]


@pytest.fixture(params=["turnout", "grpcio"])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    async with running(transport=request.param, words=Words()) as made:
        keys(made)
        yield made


def keys(service: Service, **of_a: Any) -> None:
    """Puts two keys in force; what is not said of the first is without a limit."""
    first = Key(secrets=(KeptSecret(digest_of(A)),), **OF_A, **of_a)
    second = Key("bbbbbbbbbb", "initech", (KeptSecret(digest_of(B)),))
    service.router.callers.put_in_force([first, second])


def shows(*shown: str) -> Metadata:
    return tuple(("authorization", f"Bearer {one}") for one in shown)


def demand_keys(service: Service) -> None:
    config = service.router._ready().config
    callers = config.callers.model_copy(update={"anonymous": False})
    service.router.callers.configure(config.model_copy(update={"callers": callers}))


async def route(service: Service, metadata: Metadata) -> object:
    return await service.routing.Route(route_request(), metadata=metadata)


async def route_batch(service: Service, metadata: Metadata) -> object:
    request = pb.RouteBatchRequest(requests=[route_request()])
    response = await service.routing.RouteBatch(request, metadata=metadata)
    assert not response.results[0].HasField("refusal")
    return response


async def infer(service: Service, metadata: Metadata) -> object:
    return await service.routing.Infer(infer_request(), metadata=metadata)


async def infer_stream(service: Service, metadata: Metadata) -> object:
    request = pb.InferStreamRequest(text="hi")
    return [part async for part in service.routing.InferStream(request, metadata=metadata)]


async def model_infer(service: Service, metadata: Metadata) -> object:
    return await service.oip.ModelInfer(oip_request(), metadata=metadata)


async def report(service: Service, metadata: Metadata) -> object:
    return await service.routing.Report(pb.ReportRequest(), metadata=metadata)


def test_a_common_name_counts_only_where_a_certificate_has_no_others() -> None:
    alone = {"x509_common_name": [b"a.example"], "x509_subject_alternative_name": []}
    assert names_in(alone) == ["a.example"]
    assert names_in({**alone, "x509_subject_alternative_name": [b"b.example"]}) == ["b.example"]
    assert names_in({}) == []


CALLS = pytest.mark.parametrize(
    "call", [route, route_batch, infer, infer_stream, model_infer, report]
)
REQUESTS = pytest.mark.parametrize("call", [route, infer, infer_stream, model_infer])


async def refused(service: Service, call: Awaitable[object]) -> Refusal:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return refusal_of(raised.value)


def untouched(service: Service) -> bool:
    """No model was asked, and no request counted."""
    return not service.counters.take_touched() and not service.endpoints_asked()


@CALLS
async def test_the_holder_of_a_key_is_served(service: Service, call: Call) -> None:
    demand_keys(service)
    await call(service, shows(A))


@CALLS
async def test_who_shows_no_key_is_served_where_none_is_needed(
    service: Service, call: Call
) -> None:
    await call(service, ())


BAD: list[tuple[str, Metadata, dict[str, Any]]] = [
    ("KEY_MISSING", (), {}),
    ("KEY_UNKNOWN", shows(whole("aaaaaaaaaa", 43 * "b")), {}),
    ("KEY_UNKNOWN", shows("an admin secret"), {}),
    ("KEY_EXPIRED", shows(A), {"expires_s": NOW_S}),
    ("KEY_AMBIGUOUS", shows(A, B), {}),
    ("KEY_AMBIGUOUS", shows(A, A), {}),
]


@CALLS
@pytest.mark.parametrize(("reason", "metadata", "of_a"), BAD)
async def test_what_is_wrong_with_a_key_is_its_own_reason_and_nothing_is_counted_or_echoed(
    service: Service, call: Call, reason: str, metadata: Metadata, of_a: dict[str, Any]
) -> None:
    keys(service, **of_a)
    demand_keys(service)
    found = await refused(service, call(service, metadata))
    assert (found.reason, found.code) == (reason, code_of(reason))
    assert untouched(service)
    assert service.refusals() == {reason: 1}
    for _, value in metadata:
        assert value.removeprefix("Bearer ") not in str(found)


def code_of(reason: str) -> StatusCode:
    codes: dict[type[RoutingError], StatusCode] = dict(STATUS)
    return next(code for error, code in codes.items() if error.reason == reason)


@REQUESTS
async def test_a_key_is_not_for_other_classes_than_its_own(service: Service, call: Call) -> None:
    keys(service, classes=frozenset({"meta"}))
    found = await refused(service, call(service, shows(A)))
    assert (found.reason, found.code) == ("KEY_CLASS", StatusCode.PERMISSION_DENIED)
    assert untouched(service)


async def test_in_a_batch_each_request_of_another_class_is_refused(service: Service) -> None:
    keys(service, classes=frozenset({"meta"}))
    named = pb.RouteRequest(context=pb.RequestContext(traffic_class="meta"))
    request = pb.RouteBatchRequest(requests=[route_request(), named])
    response = await service.routing.RouteBatch(request, metadata=shows(A))
    first, second = response.results
    assert (first.HasField("refusal"), second.HasField("refusal")) == (True, False)
    assert service.refusals() == {"KEY_CLASS": 1}


async def test_requests_are_of_the_tenant_of_the_key(service: Service) -> None:
    """A rule puts ada of acme in a class of her own."""
    request = infer_request(user="ada")
    response = await service.routing.Infer(request, metadata=shows(A))
    assert response.cell.traffic_class == "acme"
    response = await service.routing.Infer(request, metadata=shows(B))
    assert response.cell.traffic_class == "chat"


@pytest.mark.parametrize("shown", [(), (B,)])
async def test_another_tenant_cannot_be_claimed(service: Service, shown: tuple[str, ...]) -> None:
    request = infer_request(tenant="acme")
    found = await refused(service, service.routing.Infer(request, metadata=shows(*shown)))
    assert (found.reason, found.code, found.fields) == (
        "KEY_TENANT",
        StatusCode.PERMISSION_DENIED,
        ["context.tenant"],
    )
    assert untouched(service)


async def test_a_caller_of_oip_cannot_claim_another_tenant(service: Service) -> None:
    metadata = (*shows(B), ("turnout-tenant", "acme"))
    found = await refused(service, service.oip.ModelInfer(oip_request(), metadata=metadata))
    assert (found.reason, found.fields) == ("KEY_TENANT", ["turnout-tenant"])


@REQUESTS
async def test_a_key_over_its_rate_is_told_when_to_come_back(service: Service, call: Call) -> None:
    keys(service, requests_per_minute=30)
    service.router.callers.find(SHOWN_A, now_s=NOW_S).spend(30, now_s=NOW_S)
    found = await refused(service, call(service, shows(A)))
    assert (found.reason, found.code) == ("KEY_RATE", StatusCode.RESOURCE_EXHAUSTED)
    assert found.retry_s == pytest.approx(2.0)
    assert untouched(service)


async def test_each_request_of_a_batch_counts(service: Service) -> None:
    keys(service, requests_per_minute=30)
    batch = pb.RouteBatchRequest(requests=20 * [route_request()])
    await service.routing.RouteBatch(batch, metadata=shows(A))
    found = await refused(service, service.routing.RouteBatch(batch, metadata=shows(A)))
    assert found.reason == "KEY_RATE"
    assert found.retry_s == pytest.approx(20.0)


async def test_a_batch_of_more_than_a_minutes_requests_is_not_told_to_come_back(
    service: Service,
) -> None:
    keys(service, requests_per_minute=30)
    batch = pb.RouteBatchRequest(requests=31 * [route_request()])
    found = await refused(service, service.routing.RouteBatch(batch, metadata=shows(A)))
    assert (found.reason, found.retry_s) == ("KEY_RATE", None)


async def test_a_report_counts_for_no_rate(service: Service) -> None:
    keys(service, requests_per_minute=1)
    for _ in range(3):
        await report(service, shows(A))


@pytest.mark.parametrize("call", [infer, model_infer])
async def test_a_key_has_no_more_calls_open_than_it_may(service: Service, call: Call) -> None:
    keys(service, concurrent=1)
    service.small.behaviour = service.small.held
    first = asyncio.ensure_future(call(service, shows(A)))
    await service.small.reached.wait()
    found = await refused(service, call(service, shows(A)))
    assert (found.reason, found.code) == ("KEY_BUSY", StatusCode.RESOURCE_EXHAUSTED)
    assert found.retry_s == 1.0
    other = asyncio.ensure_future(call(service, shows(B)))
    service.small.go_on.set()
    await asyncio.gather(first, other)
    await call(service, shows(A))


async def test_a_call_that_its_caller_leaves_makes_room_for_another(service: Service) -> None:
    keys(service, concurrent=1)
    service.small.behaviour = service.small.held
    left = service.routing.Infer(infer_request(), metadata=shows(A))
    await service.small.reached.wait()
    left.cancel()
    caller = service.router.callers.find(SHOWN_A, now_s=NOW_S)
    while caller.allowance.in_flight:  # noqa: ASYNC110 - the service hears of it in its own time
        await asyncio.sleep(0.001)
    service.small.go_on.set()
    await infer(service, shows(A))


async def test_readiness_and_reflection_ask_for_no_key(service: Service) -> None:
    demand_keys(service)
    assert (await service.oip.ServerLive(oip_pb2.ServerLiveRequest())).live
    assert (await service.oip.ServerReady(oip_pb2.ServerReadyRequest())).ready


async def test_a_key_is_not_passed_on_to_endpoints(service: Service) -> None:
    for call in (infer, model_infer):
        await call(service, shows(A))
    assert service.endpoints_asked() == 2
    assert not any("authorization" in dict(sent) for sent in service.small.metadata)


LONG = 3_600.0  # a pause that no test waits for


@pytest.fixture(params=["turnout", "grpcio"])
async def worded(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    """One with a language model, whose streams pause after their first event."""
    words = Words(steps=(event("Pa"), LONG))
    async with running(transport=request.param, words=words) as made:
        keys(made)
        yield made


def streaming(service: Service, metadata: Metadata) -> Any:
    request = pb.InferStreamRequest(text="The capital of France?")
    return service.routing.InferStream(request, metadata=metadata)


@pytest.mark.parametrize(("reason", "metadata", "of_a"), BAD)
async def test_a_stream_is_refused_as_a_call_is(
    worded: Service, reason: str, metadata: Metadata, of_a: dict[str, Any]
) -> None:
    keys(worded, **of_a)
    demand_keys(worded)
    found = await refused(worded, streaming(worded, metadata).read())
    assert (found.reason, found.code) == (reason, code_of(reason))
    assert untouched(worded)


async def test_a_stream_is_for_the_classes_of_its_key_and_of_its_tenant(worded: Service) -> None:
    keys(worded, classes=frozenset({"meta"}))
    found = await refused(worded, streaming(worded, shows(A)).read())
    assert found.reason == "KEY_CLASS"
    claims = pb.InferStreamRequest(text="?", context=pb.RequestContext(tenant="acme"))
    call = worded.routing.InferStream(claims, metadata=shows(B))
    assert (await refused(worded, call.read())).reason == "KEY_TENANT"
    assert untouched(worded)


async def test_a_stream_is_a_call_that_is_open_until_it_has_ended(worded: Service) -> None:
    keys(worded, concurrent=1)
    first = streaming(worded, shows(A))
    assert (await first.read()).text_delta == "Pa"
    found = await refused(worded, streaming(worded, shows(A)).read())
    assert (found.reason, found.retry_s) == ("KEY_BUSY", 1.0)
    first.cancel()
    caller = worded.router.callers.find(SHOWN_A, now_s=NOW_S)
    while caller.allowance.in_flight:  # noqa: ASYNC110 - the service hears of it in its own time
        await asyncio.sleep(0.001)
    second = streaming(worded, shows(A))
    assert (await second.read()).text_delta == "Pa"
    second.cancel()


async def test_a_decision_is_reported_on_by_its_own_tenant_alone(service: Service) -> None:
    service.ledger.counts = True
    mine = (await service.routing.Route(route_request(), metadata=shows(A))).decision_id
    answered = await service.routing.Infer(infer_request(), metadata=shows(B))
    nobodys = (await service.routing.Route(route_request())).decision_id
    ids = [mine, answered.decision_id, nobodys, "none of ours"]
    request = pb.ReportRequest(outcomes=[pb.Outcome(decision_id=id_) for id_ in ids])
    reasons = {}
    for name, shown in (("a", shows(A)), ("b", shows(B)), ("unnamed", ())):
        results = (await service.routing.Report(request, metadata=shown)).results
        reasons[name] = [one.reason for one in results]
        refused = next(one for one in results if one.reason)
        assert refused.message.startswith("decision_id: the decision was made for another tenant")
    others = "DECISION_TENANT"
    assert reasons == {
        "a": ["", others, "", ""],  # what is none of ours, the control plane refuses
        "b": [others, "", "", ""],
        "unnamed": [others, others, "", ""],
    }


async def test_a_batch_is_reported_on_by_its_own_tenant_alone(service: Service) -> None:
    service.ledger.counts = True
    batch = pb.RouteBatchRequest(requests=[route_request()] * 3)
    results = (await service.routing.RouteBatch(batch, metadata=shows(A))).results
    request = pb.ReportRequest(outcomes=[pb.Outcome(decision_id=results[2].decision_id)])
    (mine,) = (await service.routing.Report(request, metadata=shows(A))).results
    (others,) = (await service.routing.Report(request, metadata=shows(B))).results
    assert (mine.reason, others.reason) == ("", "DECISION_TENANT")
