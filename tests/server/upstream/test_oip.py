"""Requests on their way to an endpoint: bytes in, bytes out, statuses as routing knows them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer
from hypothesis import given
from hypothesis import strategies as st

from server.dispatch.exchange import TENSORS, Asked, EndpointError
from server.routing.catalog import Model, compile_catalog
from server.status_code import Code
from server.transport.http2.limits import Limits
from server.upstream.oip import READY_BYTES_MAX, OipUpstream, addressing
from server.wire import oip_pb2
from tests.server.routing.configs import config, model
from tests.server.transport.channel.raw_peer import PING, deaf_address, listening
from tests.server.upstream.endpoint import (
    FakeEndpoint,
    refusing,
    relaying,
    says_ready,
    serving,
    serving_ourselves,
)

Answer = TypeVar("Answer")


def compiled(**changes: Any) -> Model:
    return compile_catalog(config(model("small", **changes))).models[0]


SMALL = compiled(version="3")


def served_at(*addresses: str) -> Model:
    return replace(SMALL, endpoints=addresses)


REQUEST = oip_pb2.ModelInferRequest(
    model_name="chat",
    id="r1",
    inputs=[oip_pb2.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 2])],
    raw_input_contents=[b"\0\1\2\3" * 2],
).SerializeToString()


@pytest.fixture(params=[serving, serving_ourselves])
async def endpoint(request: pytest.FixtureRequest) -> AsyncIterator[FakeEndpoint]:
    made = FakeEndpoint()
    async with request.param(made):
        yield made


@pytest.fixture
async def upstream(endpoint: FakeEndpoint) -> AsyncIterator[OipUpstream]:
    made = OipUpstream()
    made.track([served_at(endpoint.address)])
    yield made
    await made.close()


async def send(
    upstream: OipUpstream, address: str, request: bytes = REQUEST, timeout_s: float = 20
) -> bytes:
    metadata = (("x-request-id", "r1"),)
    asked = Asked(request, TENSORS)
    reply = await upstream.open_exchange(address, SMALL, asked, timeout_s, metadata)
    return bytes(reply.body)


async def fail(upstream: OipUpstream, address: str, timeout_s: float = 20) -> EndpointError:
    with pytest.raises(EndpointError) as failed:
        await send(upstream, address, timeout_s=timeout_s)
    return failed.value


async def left_behind(
    call: Coroutine[Any, Any, Answer], upstream: OipUpstream, endpoint: FakeEndpoint
) -> asyncio.Task[Answer]:
    """A call that is at an endpoint when that leaves the catalog."""
    endpoint.behaviour = endpoint.held
    calling = asyncio.create_task(call)
    await endpoint.reached.wait()
    upstream.track([])
    return calling


async def test_a_request_goes_on_unchanged_but_for_the_model_that_it_is_for(
    upstream: OipUpstream, endpoint: FakeEndpoint
) -> None:
    await send(upstream, endpoint.address)
    assert endpoint.requests[0].startswith(REQUEST)
    expected = oip_pb2.ModelInferRequest.FromString(REQUEST)
    expected.model_name, expected.model_version = "small", "3"
    assert endpoint.asked == [expected]


async def test_a_response_comes_back_byte_for_byte(
    upstream: OipUpstream, endpoint: FakeEndpoint
) -> None:
    # No message of the protocol: nothing on the way reads it.
    async def answer(request: bytes, context: object) -> bytes:
        return b"\xff\x00no message" * 1_000

    endpoint.behaviour = answer
    assert await send(upstream, endpoint.address) == b"\xff\x00no message" * 1_000


async def test_metadata_and_the_time_left_go_with_the_request(
    upstream: OipUpstream, endpoint: FakeEndpoint
) -> None:
    await send(upstream, endpoint.address, timeout_s=20)
    assert endpoint.metadata[0]["x-request-id"] == "r1"
    (left_s,) = endpoint.time_left_s
    assert left_s is not None
    assert 0 < left_s < 21  # on the wire gRPC rounds it up


names = st.text(st.characters(codec="utf-8"), max_size=256)


@given(caller=st.builds(oip_pb2.ModelInferRequest, model_name=names, model_version=names, id=names))
def test_the_callers_name_and_version_give_way_even_to_no_version(
    caller: oip_pb2.ModelInferRequest,
) -> None:
    sent = oip_pb2.ModelInferRequest.FromString(
        caller.SerializeToString() + addressing(compiled(version=""))
    )
    assert (sent.model_name, sent.model_version, sent.id) == ("small", "", caller.id)


@given(name=names.filter(len), version=names)
def test_names_of_every_length_that_a_configuration_takes_are_sent_whole(
    name: str, version: str
) -> None:
    sent = oip_pb2.ModelInferRequest.FromString(
        addressing(compiled(upstream_name=name, version=version))
    )
    assert (sent.model_name, sent.model_version) == (name, version)


@pytest.mark.parametrize("length", [127, 128, 129, 255, 256])
def test_a_name_of_a_long_script_is_sent_whole(length: int) -> None:
    sent = addressing(compiled(upstream_name="\U0001f600" * length))
    assert oip_pb2.ModelInferRequest.FromString(sent).model_name == "\U0001f600" * length


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.value[0]])
async def test_a_status_of_the_endpoint_is_told_with_its_words(
    upstream: OipUpstream, endpoint: FakeEndpoint, code: grpc.StatusCode
) -> None:
    endpoint.behaviour = refusing(code, "out of memory")
    failed = await fail(upstream, endpoint.address)
    assert failed.code.name == code.name
    # What it says of keys is nobody's business.
    of_keys = code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    assert str(failed) == ("it refused the call" if of_keys else "out of memory")


async def test_a_crash_of_the_endpoints_method_is_unknown(
    upstream: OipUpstream, endpoint: FakeEndpoint
) -> None:
    async def crash(request: bytes, context: object) -> bytes:
        raise ZeroDivisionError

    endpoint.behaviour = crash
    assert (await fail(upstream, endpoint.address)).code is Code.UNKNOWN


async def test_an_endpoint_that_takes_too_long_is_left(
    upstream: OipUpstream, endpoint: FakeEndpoint
) -> None:
    endpoint.behaviour = endpoint.held
    assert (await fail(upstream, endpoint.address, 0.05)).code is Code.DEADLINE_EXCEEDED


async def test_a_refused_connection_is_told_at_once_not_at_the_deadline() -> None:
    with deaf_address() as address:
        upstream = OipUpstream()
        upstream.track([served_at(address)])
        assert (await fail(upstream, address, timeout_s=5)).code is Code.UNAVAILABLE
        await upstream.close()


@pytest.mark.slow
async def test_an_endpoint_that_accepts_but_never_speaks_is_told_before_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        upstream, address = OipUpstream(), f"127.0.0.1:{silent.getsockname()[1]}"
        upstream.track([served_at(address)])
        assert (await fail(upstream, address, timeout_s=20)).code is Code.UNAVAILABLE
        await upstream.close()


async def test_an_endpoint_that_comes_back_is_found_again(
    upstream: OipUpstream, endpoint: FakeEndpoint
) -> None:
    other = FakeEndpoint()
    async with serving(other):
        upstream.track([served_at(other.address)])
        await send(upstream, other.address)
    assert (await fail(upstream, other.address)).code is Code.UNAVAILABLE
    async with serving(other, other.address), asyncio.timeout(10):
        while not await answers(upstream, other.address):
            pass


async def answers(upstream: OipUpstream, address: str) -> bool:
    try:
        await send(upstream, address)
    except EndpointError:
        return False
    return True


async def test_a_cancelled_call_is_cancelled_at_the_endpoint(
    upstream: OipUpstream, endpoint: FakeEndpoint
) -> None:
    endpoint.behaviour = endpoint.held
    call = asyncio.create_task(send(upstream, endpoint.address))
    await endpoint.reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(10):
        await endpoint.cancelled.wait()


async def test_endpoints_are_told_apart(upstream: OipUpstream, endpoint: FakeEndpoint) -> None:
    other = FakeEndpoint()
    async with serving(other):
        upstream.track([served_at(endpoint.address, other.address, other.address)])
        await send(upstream, other.address)
    assert (len(endpoint.requests), len(other.requests)) == (0, 1)


async def test_a_connection_is_kept_from_call_to_call_and_ends_when_its_endpoint_leaves(
    upstream: OipUpstream, endpoint: FakeEndpoint
) -> None:
    async with relaying(endpoint.address) as (address, ended):
        upstream.track([served_at(address)])
        for _ in range(3):
            await send(upstream, address)
            upstream.track([served_at(address)])
        assert not ended.is_set()
        upstream.track([])
        async with asyncio.timeout(10):
            await ended.wait()


async def test_a_call_that_is_out_when_its_endpoint_leaves_ends_well(
    upstream: OipUpstream, endpoint: FakeEndpoint
) -> None:
    call = await left_behind(send(upstream, endpoint.address), upstream, endpoint)
    endpoint.go_on.set()
    assert oip_pb2.ModelInferResponse.FromString(await call).id == "r1"


async def test_a_call_that_outlasts_the_time_for_that_fails_as_one_to_retry(
    endpoint: FakeEndpoint,
) -> None:
    upstream = OipUpstream(calls_end_s=0.05)
    upstream.track([served_at(endpoint.address)])
    call = await left_behind(send(upstream, endpoint.address), upstream, endpoint)
    with pytest.raises(EndpointError) as failed:
        await call
    assert failed.value.code is Code.CANCELLED
    await upstream.close()


async def test_the_end_waits_for_no_call_of_an_endpoint_that_left_before(
    endpoint: FakeEndpoint,
) -> None:
    upstream = OipUpstream(calls_end_s=1_000)
    upstream.track([served_at(endpoint.address)])
    call = await left_behind(fail(upstream, endpoint.address), upstream, endpoint)
    async with asyncio.timeout(10):
        await upstream.close()
    assert (await call).code is Code.CANCELLED


async def test_an_endpoint_that_left_may_come_back(
    upstream: OipUpstream, endpoint: FakeEndpoint
) -> None:
    upstream.track([])
    upstream.track([served_at(endpoint.address)])
    response = oip_pb2.ModelInferResponse.FromString(await send(upstream, endpoint.address))
    assert response.model_name == "small"


async def test_limits_that_an_endpoint_reached_are_counted_after_it_has_left() -> None:
    upstream = OipUpstream()
    async with listening() as endpoint:
        upstream.track([served_at(endpoint.address)])
        call = asyncio.create_task(fail(upstream, endpoint.address))
        peer = await endpoint.greeted()
        await peer.request()
        for _ in range(Limits().pings.burst + 1):
            peer.send(PING, 0, 0, bytes(8))
        assert (await call).code is Code.UNAVAILABLE
        before = upstream.limits_reached()
        upstream.track([])
        assert before == upstream.limits_reached() == {"pings": 1}
        await upstream.close()


async def test_limits_that_an_endpoint_reaches_while_it_leaves_are_counted() -> None:
    upstream = OipUpstream()
    async with listening() as endpoint:
        upstream.track([served_at(endpoint.address)])
        call = asyncio.create_task(fail(upstream, endpoint.address))
        peer = await endpoint.greeted()
        await peer.request()
        upstream.track([])
        for _ in range(Limits().pings.burst + 1):
            peer.send(PING, 0, 0, bytes(8))
        assert (await call).code is Code.UNAVAILABLE
        assert upstream.limits_reached() == {"pings": 1}
        await upstream.close()
        assert upstream.limits_reached() == {"pings": 1}


# Whether an endpoint says that it can answer.


async def is_ready(endpoint: FakeEndpoint, timeout_s: float = 20) -> bool:
    upstream = OipUpstream()
    async with serving(endpoint):
        upstream.track([served_at(endpoint.address)])
        ready = await upstream.is_ready(endpoint.address, SMALL, timeout_s)
    await upstream.close()
    return ready


@pytest.mark.parametrize("ready", [True, False])
async def test_an_endpoint_says_whether_its_model_is_ready(ready: bool) -> None:
    assert await is_ready(FakeEndpoint(readiness=says_ready(ready))) is ready


async def test_it_is_asked_for_the_model_by_the_name_and_version_that_it_has_there() -> None:
    asked = []

    async def answer(request: bytes, context: object) -> bytes:
        asked.append(oip_pb2.ModelReadyRequest.FromString(request))
        return b""

    assert not await is_ready(FakeEndpoint(readiness=answer))
    assert asked == [oip_pb2.ModelReadyRequest(name="small", version="3")]


@pytest.mark.parametrize(("status", "ready"), [("SERVING", True), ("NOT_SERVING", False)])
async def test_one_without_model_ready_is_asked_for_its_health(status: str, ready: bool) -> None:
    servicer = HealthServicer()
    await servicer.set("", health_pb2.HealthCheckResponse.ServingStatus.Value(status))
    assert await is_ready(FakeEndpoint(health=servicer)) is ready


async def test_what_model_ready_says_goes_before_health() -> None:
    assert not await is_ready(FakeEndpoint(readiness=says_ready(False), health=HealthServicer()))
    refused = refusing(grpc.StatusCode.UNAVAILABLE)
    assert not await is_ready(FakeEndpoint(readiness=refused, health=HealthServicer()))


async def test_of_one_that_has_neither_nothing_is_known() -> None:
    assert not await is_ready(FakeEndpoint())


@pytest.mark.parametrize("answer", [b"\xff", bytes(READY_BYTES_MAX + 1)])
async def test_what_is_no_answer_to_the_question_is_not_ready(answer: bytes) -> None:
    async def say(request: bytes, context: object) -> bytes:
        return answer

    assert not await is_ready(FakeEndpoint(readiness=say))


async def test_one_that_does_not_say_in_time_is_not_ready() -> None:
    endpoint = FakeEndpoint()
    endpoint.readiness = endpoint.held
    assert not await is_ready(endpoint, timeout_s=0.05)


async def test_one_that_cannot_be_reached_or_has_left_is_not_ready() -> None:
    upstream = OipUpstream()
    with deaf_address() as address:
        upstream.track([served_at(address)])
        assert not await upstream.is_ready(address, SMALL, 5)
    upstream.track([])
    assert not await upstream.is_ready(address, SMALL, 5)
    await upstream.close()
