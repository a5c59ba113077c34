"""What a servicer raises, as its callers hear it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import pytest
from grpc import StatusCode
from structlog.testing import capture_logs

from server.config.diagnostics import ConfigError, Diagnostic
from server.routing import errors
from server.routing.errors import RoutingError, UpstreamFailed
from server.rpc.errors import (
    MESSAGE_BYTES_MAX,
    SHED_KEPT_MAX,
    SHED_STEPS,
    STATUS,
    VIOLATIONS_MAX,
    ErrorAnswering,
    ShedStatuses,
    status_of,
)
from server.rpc.raw import raw
from server.rpc.retry_info import RETRY_AFTER_S, SHED_SPREAD_S
from server.rpc.wire import Bytes
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from tests.server.rpc.service import Refusal, refusal_of
from turnout.v1 import control_pb2 as pb
from turnout.v1 import control_pb2_grpc, routing_pb2, routing_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True)
class Raising(control_pb2_grpc.ControlServiceServicer):
    """Raises what it is told to, at once or after some messages of a stream."""

    error: BaseException | None = None
    after: int = 0
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def PushStats(
        self, request: pb.PushStatsRequest, context: Context
    ) -> pb.PushStatsResponse:
        if self.error is not None:
            raise self.error
        return pb.PushStatsResponse()

    async def Settle(self, request: pb.SettleRequest, context: Context) -> pb.SettleResponse:
        """Refuses by itself, as gRPC has it."""
        await context.abort(StatusCode.ABORTED, "by itself")

    async def WatchKeys(
        self, request: pb.WatchKeysRequest, context: Context
    ) -> AsyncIterator[pb.WatchKeysResponse]:
        yield pb.WatchKeysResponse(number=1)

    async def WatchPlan(
        self, request: pb.WatchPlanRequest, context: Context
    ) -> AsyncIterator[pb.WatchPlanResponse]:
        for number in range(self.after):
            yield pb.WatchPlanResponse(number=number)
        if self.error is not None:
            raise self.error
        self.reached.set()
        try:
            await self.hold.wait()
        finally:
            self.ended.set()


@dataclass(slots=True)
class Scene:
    servicer: Raising
    channel: grpc.aio.Channel
    refusals: Counter[str]

    @property
    def stub(self) -> "control_pb2_grpc.ControlServiceAsyncStub":
        return control_pb2_grpc.ControlServiceStub(self.channel)

    async def unary(self) -> Refusal:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await self.stub.PushStats(pb.PushStatsRequest())
        return refusal_of(failed.value)

    async def streaming(self) -> tuple[list[int], Refusal]:
        """What came before the error, and the error."""
        call = self.stub.WatchPlan(pb.WatchPlanRequest())
        numbers = []
        for _ in range(self.servicer.after):
            response = await call.read()
            assert isinstance(response, pb.WatchPlanResponse)
            numbers.append(response.number)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call.read()
        return numbers, refusal_of(failed.value)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    servicer, refusals = Raising(), Counter[str]()
    server = grpc.aio.server()
    answering = ErrorAnswering(server, lambda reason: refusals.update([reason]))
    answering.add(control_pb2_grpc.add_ControlServiceServicer_to_server, servicer)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Scene(servicer, channel, refusals)
    await server.stop(None)


def leaves(error: type[RoutingError]) -> set[type[RoutingError]]:
    """The kinds of error that have no kinds of their own."""
    kinds = error.__subclasses__()
    return set().union(*map(leaves, kinds)) if kinds else {error}


def test_every_routing_error_has_a_status() -> None:
    assert set(STATUS) | leaves(UpstreamFailed) == leaves(RoutingError)


def test_every_reason_is_one_errors_own() -> None:
    reasons = [error.reason for error in STATUS]
    assert len(set(reasons)) == len(reasons)
    assert all(reason == reason.upper() and reason.isidentifier() for reason in reasons)


# SHED has words of its own, below.
@pytest.mark.parametrize("error", [error for error in STATUS if error is not errors.Shed])
async def test_an_error_is_answered_with_its_reason_status_and_field(
    scene: Scene, error: type[RoutingError]
) -> None:
    scene.servicer.error = error("say it so", field="some.field")
    found = await scene.unary()
    comes_back = STATUS[error] is StatusCode.UNAVAILABLE or error is errors.KeyBusy
    assert found == Refusal(
        code=STATUS[error],
        reason=error.reason,
        domain="turnout",
        message="say it so",
        fields=["some.field"],
        retry_s=1.0 if comes_back else None,
    )
    assert scene.refusals == {error.reason: 1}


async def test_an_error_of_no_one_field_names_none(scene: Scene) -> None:
    scene.servicer.error = errors.NoCandidate("none is fit")
    assert (await scene.unary()).fields == []


@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.OK])
async def test_a_failure_of_an_endpoint_is_told_as_the_endpoints(
    scene: Scene, code: StatusCode
) -> None:
    number: int = code.value[0]
    scene.servicer.error = UpstreamFailed("model m: no", reason="UPSTREAM_X", code=number)
    found = await scene.unary()
    assert (found.code, found.reason, found.domain) == (code, "UPSTREAM_X", "upstream")
    assert found.message == "model m: no"
    assert found.retry_s is None  # RetryInfo says that no endpoint was asked


async def test_problems_of_a_configuration_are_told_each_by_its_path(scene: Scene) -> None:
    scene.servicer.error = ConfigError(
        (
            Diagnostic("models[0].price", None, "is missing"),
            Diagnostic("window_s", None, "must be > 0"),
        )
    )
    found = await scene.unary()
    assert (found.code, found.reason) == (StatusCode.INVALID_ARGUMENT, "CONFIG_INVALID")
    assert found.fields == ["models[0].price", "window_s"]
    assert found.message == "models[0].price: is missing\nwindow_s: must be > 0"


async def test_of_many_long_problems_the_first_reach_the_caller(scene: Scene) -> None:
    scene.servicer.error = ConfigError(
        tuple(Diagnostic(f"models[{i}].name" + "é" * 500, None, "é" * 5_000) for i in range(100))
    )
    for _ in range(20):  # gRPC refuses what is a little too long by chance
        found = await scene.unary()
        assert found.code is StatusCode.INVALID_ARGUMENT
        assert len(found.fields) == VIOLATIONS_MAX
        assert len(found.message.encode()) <= MESSAGE_BYTES_MAX


async def test_a_long_message_reaches_the_caller_cut(scene: Scene) -> None:
    scene.servicer.error = errors.NotFound("\U0001f600" * 100_000, field="\U0001f600" * 100_000)
    for _ in range(20):
        found = await scene.unary()
        assert found.code is StatusCode.NOT_FOUND
        assert found.message == "\U0001f600" * (MESSAGE_BYTES_MAX // 4)


async def test_a_message_may_hold_any_character(scene: Scene) -> None:
    scene.servicer.error = errors.NotFound("a\0b\nc%é\udc80")
    assert (await scene.unary()).message == "a\0b\nc%é?"


@pytest.mark.parametrize("unexpected", [ZeroDivisionError("s3cret"), KeyError("s3cret")])
async def test_a_bug_is_logged_with_where_it_was_raised_and_tells_the_caller_nothing(
    scene: Scene, unexpected: Exception
) -> None:
    scene.servicer.error = unexpected
    with capture_logs() as logs:
        found = await scene.unary()
        _, in_stream = await scene.streaming()
    internal = Refusal(StatusCode.INTERNAL, "INTERNAL", "turnout", "internal error", [])
    assert found == in_stream == internal
    assert [(log["event"], log["log_level"]) for log in logs] == [("unexpected error", "error")] * 2
    assert "scene.servicer" in logs[0]["trace"] or "raise" in logs[0]["trace"]
    assert "s3cret" not in str(logs)
    assert scene.refusals == {"INTERNAL": 2}


async def test_an_expected_error_is_not_logged(scene: Scene) -> None:
    scene.servicer.error = UpstreamFailed("model m: no", reason="UPSTREAM_INTERNAL", code=13)
    with capture_logs() as logs:
        await scene.unary()
    assert logs == []


async def test_an_error_ends_a_stream_after_what_was_sent_before(scene: Scene) -> None:
    scene.servicer.error, scene.servicer.after = errors.NotReady("not yet"), 3
    numbers, found = await scene.streaming()
    assert numbers == [0, 1, 2]
    assert (found.code, found.reason, found.message) == (
        StatusCode.UNAVAILABLE,
        "NOT_READY",
        "not yet",
    )
    assert scene.refusals == {"NOT_READY": 1}


async def test_without_an_error_answers_pass_unchanged(scene: Scene) -> None:
    assert await scene.stub.PushStats(pb.PushStatsRequest()) == pb.PushStatsResponse()
    scene.servicer.after = 2
    scene.servicer.hold.set()
    watched = [r.number async for r in scene.stub.WatchPlan(pb.WatchPlanRequest())]
    assert watched == [0, 1]
    assert scene.refusals == {}


async def test_a_stream_that_its_caller_leaves_ends_and_is_no_refusal(scene: Scene) -> None:
    call = scene.stub.WatchPlan(pb.WatchPlanRequest())
    reading = asyncio.create_task(call.read())
    await scene.servicer.reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    async with asyncio.timeout(10):
        await scene.servicer.ended.wait()
    assert scene.refusals == {}


async def test_a_servicer_may_refuse_by_itself(scene: Scene) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await scene.stub.Settle(pb.SettleRequest())
    assert (failed.value.code(), failed.value.details()) == (StatusCode.ABORTED, "by itself")
    assert scene.refusals == {}


@pytest.mark.parametrize("method", ["PushStats", "WatchPlan"])
async def test_what_is_no_message_of_a_method_is_malformed(scene: Scene, method: str) -> None:
    call: grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
    call = scene.channel.unary_stream(f"/turnout.v1.ControlService/{method}")
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call(b"\xff").read()
    found = refusal_of(failed.value)
    assert (found.code, found.reason) == (StatusCode.INVALID_ARGUMENT, "PAYLOAD_MALFORMED")
    assert scene.refusals == {"PAYLOAD_MALFORMED": 1}


def test_the_status_of_an_error_has_no_more_than_the_reason_where_it_tells_nothing_else() -> None:
    assert len(status_of(errors.NoCandidate("none is fit")).details) == 1


async def test_a_shed_request_is_told_what_binds_and_when_to_come_back(scene: Scene) -> None:
    scene.servicer.error = errors.Shed("chat", 0.6667, "capacity of small")
    found = await scene.unary()
    assert (found.code, found.reason, found.domain) == (StatusCode.UNAVAILABLE, "SHED", "turnout")
    assert found.message == (
        "class chat: capacity of small is used up, so 0.67 of it is refused: try again later"
    )
    assert found.metadata == {
        "traffic_class": "chat",
        "shed": "0.6667",
        "binds": "capacity of small",
    }
    assert found.retry_s is not None
    assert RETRY_AFTER_S <= found.retry_s <= RETRY_AFTER_S + SHED_SPREAD_S
    assert scene.refusals == {"SHED": 1}


def test_shed_requests_are_told_times_that_are_spread() -> None:
    chances = iter([n / 100 for n in range(100)])
    statuses = ShedStatuses(lambda: next(chances))
    told = Counter(statuses.of(errors.Shed("chat", 0.5, "capacity"))[1] for _ in range(100))
    assert len(told) == len(statuses) == SHED_STEPS
    assert max(told.values()) - min(told.values()) <= 1


def test_a_refusal_that_was_made_before_is_not_made_again() -> None:
    statuses = ShedStatuses(lambda: 0.5)
    first, again = (statuses.of(errors.Shed("chat", 0.5, "capacity")) for _ in range(2))
    assert first is again


def test_no_more_refusals_are_kept_than_their_bound_however_many_differ() -> None:
    statuses = ShedStatuses(lambda: 0.5)
    for number in range(SHED_KEPT_MAX * SHED_STEPS + 1):
        statuses.of(errors.Shed(f"class{number}", 0.5, "capacity"))
    assert len(statuses) == 1


class Weighing:
    """Says what it was given."""

    @raw
    async def Route(self, data: Bytes, context: Context) -> bytes:
        return routing_pb2.RouteResponse(decision_id=type(data).__name__).SerializeToString()

    RouteBatch = Infer = InferStream = Report = Route


async def test_a_raw_method_is_given_a_large_request_where_it_lies() -> None:
    server = Server(ServerLimits(), chance=lambda: 0.5)
    answering = ErrorAnswering(cast("grpc.aio.Server", server), lambda _: None)
    answering.add(routing_pb2_grpc.add_RoutingServiceServicer_to_server, Weighing())
    async with grpc.aio.insecure_channel(await server.listen("127.0.0.1:0")) as channel:
        stub: routing_pb2_grpc.RoutingServiceAsyncStub
        stub = routing_pb2_grpc.RoutingServiceStub(channel)
        given = [await stub.Route(routing_pb2.RouteRequest(text=n * "x")) for n in (9, 2**17)]
    await server.stop(0)
    assert [response.decision_id for response in given] == ["bytes", "memoryview"]
