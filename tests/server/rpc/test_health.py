"""grpc.health.v1 of the data listener, on both transports, by callers of grpcio."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import grpc
import pytest
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc

from server.routing.catalog import PayloadKind
from server.routing.readiness import NOBODY, Readiness
from server.rpc.health import HEALTH, LIVENESS, OIP, ROUTING, HealthServicer, statuses
from server.transport.grpc.messages import framed
from server.transport.serving.server import Server
from tests.contract.caller import stream_out, unary
from tests.contract.serving import TRANSPORTS, serving
from tests.server.transport.serving.raw_caller import PATIENCE_S, calling

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
# SETTINGS that leave no room for answers.
NO_WINDOW = b"\0\0\6\4\0\0\0\0\0" + b"\0\4" + bytes(4)
SERVING, NOT_SERVING, UNKNOWN = (
    pb.HealthCheckResponse.SERVING,
    pb.HealthCheckResponse.NOT_SERVING,
    pb.HealthCheckResponse.SERVICE_UNKNOWN,
)
TENSORS = frozenset({PayloadKind.UNKNOWN, PayloadKind.TENSORS})
READY = Readiness(TENSORS, TENSORS, frozenset({"chat"}), frozenset({"small"}))
EJECTED = Readiness(frozenset(), frozenset(), frozenset({"chat"}), frozenset())


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return cast("str", request.param)


@pytest.fixture
def health() -> HealthServicer:
    servicer = HealthServicer()
    servicer.publish(READY)
    return servicer


@pytest.fixture
async def channel(transport: str, health: HealthServicer) -> AsyncIterator[grpc.aio.Channel]:
    async with served(transport, health) as channel:
        yield channel


@asynccontextmanager
async def served(transport: str, health: HealthServicer) -> AsyncIterator[grpc.aio.Channel]:
    def add(server: grpc.aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(health, server)

    async with serving(transport, add) as address, grpc.aio.insecure_channel(address) as channel:
        yield channel


def asked(service: str) -> bytes:
    return pb.HealthCheckRequest(service=service).SerializeToString()


async def status(channel: grpc.aio.Channel, service: str) -> int:
    answer = await unary(channel, CHECK, asked(service))
    return pb.HealthCheckResponse.FromString(answer).status


class Watcher:
    """One caller of Watch."""

    def __init__(self, channel: grpc.aio.Channel, service: str) -> None:
        self._call = stream_out(channel, WATCH, asked(service))

    async def told(self) -> int | None:
        """The next status; None once the stream has ended well."""
        async with asyncio.timeout(PATIENCE_S):
            message = await self._call.read()
        if not isinstance(message, bytes):
            assert message is grpc.aio.EOF
            assert await self._call.code() is grpc.StatusCode.OK
            return None
        return pb.HealthCheckResponse.FromString(message).status


def test_a_service_without_a_candidate_does_not_serve() -> None:
    assert statuses(READY) == {
        "": True,
        ROUTING: True,
        OIP: True,
        HEALTH: True,
        "grpc.reflection.v1.ServerReflection": True,
        "grpc.reflection.v1alpha.ServerReflection": True,
        "turnout.class/chat": True,
        "turnout.class/chat/text": False,
        "turnout.class/chat/tensors": True,
        "turnout.class/chat/embeddings": False,
    }
    not_serving = {name for name, serves in statuses(EJECTED).items() if not serves}
    assert not_serving == {
        "",
        ROUTING,
        OIP,
        "turnout.class/chat",
        "turnout.class/chat/text",
        "turnout.class/chat/tensors",
        "turnout.class/chat/embeddings",
    }


def test_models_for_text_alone_make_a_class_ready_but_not_calls_with_tensors() -> None:
    kinds = frozenset({PayloadKind.TEXT})
    text = Readiness(kinds, frozenset(), frozenset({"chat"}), frozenset({"talks"}))
    serving = statuses(text)
    assert serving["turnout.class/chat"]
    assert serving["turnout.class/chat/text"]
    assert not serving["turnout.class/chat/tensors"]
    assert not serving[OIP]


async def test_health_is_what_was_published_last(
    channel: grpc.aio.Channel, health: HealthServicer
) -> None:
    for ready, expected in ((READY, SERVING), (EJECTED, NOT_SERVING), (READY, SERVING)):
        health.publish(ready)
        for service in ("", ROUTING, OIP, "turnout.class/chat"):
            assert await status(channel, service) == expected


async def test_before_a_configuration_nothing_serves_but_the_process_lives(
    transport: str,
) -> None:
    async with served(transport, HealthServicer()) as channel:
        assert await status(channel, "") == NOT_SERVING
        assert await status(channel, LIVENESS) == SERVING


async def test_what_nobody_configured_is_not_found(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await status(channel, "turnout.class/chta")
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    assert "turnout.class/NAME" in str(refusal.value.details())


async def test_a_watcher_is_told_of_each_change(
    channel: grpc.aio.Channel, health: HealthServicer
) -> None:
    watcher = Watcher(channel, "turnout.class/chat")
    assert await watcher.told() == SERVING
    health.publish(EJECTED)
    assert await watcher.told() == NOT_SERVING
    health.publish(READY)
    assert await watcher.told() == SERVING


async def test_a_class_may_come_and_go_while_it_is_watched(
    channel: grpc.aio.Channel, health: HealthServicer
) -> None:
    watcher = Watcher(channel, "turnout.class/new")
    assert await watcher.told() == UNKNOWN
    health.publish(replace(READY, classes=frozenset({"chat", "new"})))
    assert await watcher.told() == SERVING
    health.publish(READY)
    assert await watcher.told() == UNKNOWN


async def test_a_watcher_is_not_told_of_what_others_watch(
    channel: grpc.aio.Channel, health: HealthServicer
) -> None:
    watcher = Watcher(channel, LIVENESS)
    assert await watcher.told() == SERVING
    health.publish(EJECTED)
    health.publish(READY)
    health.drain()
    assert await watcher.told() is None


async def test_a_drain_is_told_and_ends_what_watches(
    channel: grpc.aio.Channel, health: HealthServicer
) -> None:
    watchers = [Watcher(channel, service) for service in ("", ROUTING, "turnout.class/chat")]
    assert [await watcher.told() for watcher in watchers] == 3 * [SERVING]
    health.drain()
    assert [await watcher.told() for watcher in watchers] == 3 * [NOT_SERVING]
    assert [await watcher.told() for watcher in watchers] == 3 * [None]
    assert await status(channel, LIVENESS) == SERVING


async def test_a_return_while_it_drains_makes_nothing_ready(
    channel: grpc.aio.Channel, health: HealthServicer
) -> None:
    health.drain()
    health.publish(READY)
    assert await status(channel, "") == NOT_SERVING
    assert health.ready == NOBODY


async def test_all_are_told_however_many_watch(
    channel: grpc.aio.Channel, health: HealthServicer
) -> None:
    watchers = [Watcher(channel, "") for _ in range(90)]  # woken in five turns
    assert [await watcher.told() for watcher in watchers] == 90 * [SERVING]
    health.publish(EJECTED)
    assert [await watcher.told() for watcher in watchers] == 90 * [NOT_SERVING]


async def test_a_watcher_that_takes_nothing_keeps_nobody_from_being_told(
    health: HealthServicer,
) -> None:
    server = Server(chance=lambda: 0.5)
    health_pb2_grpc.add_HealthServicer_to_server(health, cast("grpc.aio.Server", server))
    address = await server.listen("127.0.0.1:0")
    async with calling(address) as deaf:
        deaf.writer.write(NO_WINDOW)
        deaf.request(WATCH, framed(b""))
        await deaf.beat()
        async with grpc.aio.insecure_channel(address) as channel:
            watcher = Watcher(channel, "")
            assert await watcher.told() == SERVING
            health.publish(EJECTED)
            assert await watcher.told() == NOT_SERVING
            health.drain()
            assert await watcher.told() is None
    await server.stop(0)
