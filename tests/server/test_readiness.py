"""Readiness of `turnout serve` as a whole: real processes, endpoints that fail, live updates."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2 as pb

from server.rpc.health import LIVENESS, OIP, ROUTING
from server.wire import oip_pb2, oip_pb2_grpc
from tests.contract.caller import stream_out, unary
from tests.server.running import Service, infer, serving, write_config
from tests.server.upstream.endpoint import FakeEndpoint, refusing
from tests.server.upstream.endpoint import serving as served
from turnout.v1 import admin_pb2, admin_pb2_grpc

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
SERVING, NOT_SERVING = (
    pb.HealthCheckResponse.SERVING,
    pb.HealthCheckResponse.NOT_SERVING,
)
READY = ("", ROUTING, OIP, "turnout.class/all", "turnout.class/all/tensors")
PATIENCE_S = 30.0
FACTS = {"price": {"request_usd": 0.001}, "prior_accuracy": 0.9}


@pytest.fixture
async def endpoint() -> AsyncIterator[FakeEndpoint]:
    made = FakeEndpoint()
    async with served(made):
        yield made


@asynccontextmanager
async def serving_it(
    endpoint: FakeEndpoint, folder: Path, *options: str
) -> AsyncIterator[tuple[Service, grpc.aio.Channel]]:
    """The service, which takes an endpoint out for two seconds when it fails once."""
    health = {"consecutive_failures_max": 1, "ejection_s": 2}
    path = write_config(folder, endpoint.address, health=health)
    async with (
        serving(path, folder / "state", *options) as service,
        grpc.aio.insecure_channel(service.data) as channel,
    ):
        yield service, channel


async def status(channel: grpc.aio.Channel, service: str) -> int:
    request = pb.HealthCheckRequest(service=service).SerializeToString()
    return pb.HealthCheckResponse.FromString(await unary(channel, CHECK, request)).status


async def oip_ready(channel: grpc.aio.Channel) -> set[bool]:
    """What ServerReady says, and ModelReady of the class and of the model."""
    stub: oip_pb2_grpc.GRPCInferenceServiceAsyncStub
    stub = oip_pb2_grpc.GRPCInferenceServiceStub(channel)
    of_server = await stub.ServerReady(oip_pb2.ServerReadyRequest())
    of_names = [
        await stub.ModelReady(oip_pb2.ModelReadyRequest(name=name)) for name in ("all", "small")
    ]
    return {of_server.ready, *(answer.ready for answer in of_names)}


class Watcher:
    """One caller of Watch."""

    def __init__(self, channel: grpc.aio.Channel, service: str) -> None:
        request = pb.HealthCheckRequest(service=service).SerializeToString()
        self._call = stream_out(channel, WATCH, request)

    async def told(self) -> int | None:
        """The next status; None once the stream has ended well."""
        async with asyncio.timeout(PATIENCE_S):
            message = await self._call.read()
        if not isinstance(message, bytes):
            assert await self._call.code() is grpc.StatusCode.OK
            return None
        return pb.HealthCheckResponse.FromString(message).status


@asynccontextmanager
async def operating(service: Service) -> "AsyncIterator[admin_pb2_grpc.AdminServiceAsyncStub]":
    async with grpc.aio.insecure_channel(f"unix:{service.state_dir / 'admin.sock'}") as channel:
        yield admin_pb2_grpc.AdminServiceStub(channel)


@pytest.mark.parametrize("transport", ["turnout", "grpcio"])
async def test_where_no_candidate_is_left_nothing_is_ready_until_one_returns_by_itself(
    endpoint: FakeEndpoint, tmp_path: Path, transport: str
) -> None:
    async with serving_it(endpoint, tmp_path, "--transport", transport) as (service, channel):
        watchers = [Watcher(channel, name) for name in READY]
        assert {await watcher.told() for watcher in watchers} == {SERVING}
        assert await oip_ready(channel) == {True}
        endpoint.behaviour = refusing(grpc.StatusCode.UNAVAILABLE)
        with pytest.raises(grpc.aio.AioRpcError):
            await infer(service.data)
        assert {await watcher.told() for watcher in watchers} == {NOT_SERVING}
        assert await status(channel, LIVENESS) == SERVING
        asked = len(endpoint.requests)
        assert {await watcher.told() for watcher in watchers} == {SERVING}
        assert await oip_ready(channel) == {True}
        assert len(endpoint.requests) == asked  # it took no request to find out


async def test_an_ejected_model_is_routed_to_for_want_of_another_and_is_not_ready(
    endpoint: FakeEndpoint, tmp_path: Path
) -> None:
    endpoint.behaviour = refusing(grpc.StatusCode.UNAVAILABLE)
    health = {"consecutive_failures_max": 1, "ejection_s": 300}
    path = write_config(tmp_path, endpoint.address, health=health)
    async with (
        serving(path, tmp_path / "state") as service,
        grpc.aio.insecure_channel(service.data) as channel,
    ):
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError):
                await infer(service.data)
        assert len(endpoint.requests) == 2
        assert {await status(channel, name) for name in READY} == {NOT_SERVING}
        assert await oip_ready(channel) == {False}


async def test_readiness_follows_live_updates(endpoint: FakeEndpoint, tmp_path: Path) -> None:
    models = [
        {"name": name, "protocol": protocol, "endpoints": [address], **FACTS}
        for name, protocol, address in (
            ("small", "oip", endpoint.address),
            ("talks", "openai", f"http://{endpoint.address}/v1"),
        )
    ]
    path = write_config(tmp_path, "", models=models)
    async with (
        serving(path, tmp_path / "state") as service,
        grpc.aio.insecure_channel(service.data) as channel,
        operating(service) as admin,
    ):
        watcher = Watcher(channel, "turnout.class/all/tensors")
        assert await watcher.told() == SERVING
        for enabled, expected in ((False, NOT_SERVING), (True, SERVING)):
            update = admin_pb2.UpdateModelRequest(
                model=admin_pb2.Model(name="small", enabled=enabled)
            )
            update.update_mask.paths.append("enabled")
            await admin.UpdateModel(update, timeout=PATIENCE_S)
            assert await watcher.told() == expected
            assert await oip_ready(channel) == {enabled}
            assert await status(channel, "turnout.class/all/text") == SERVING


async def test_a_control_plane_that_is_away_drains_nobody(
    endpoint: FakeEndpoint, tmp_path: Path
) -> None:
    async with serving_it(endpoint, tmp_path) as (service, channel):
        watcher = Watcher(channel, "")
        assert await watcher.told() == SERVING
        (control,) = service.children("server.app.control")
        os.kill(control, signal.SIGSTOP)
        assert (await infer(service.data)).target.model == "small"
        os.kill(control, signal.SIGKILL)
        await service.read_until("process died")
        assert {await status(channel, name) for name in READY} == {SERVING}
        assert await oip_ready(channel) == {True}
        service.process.send_signal(signal.SIGTERM)
        assert await watcher.told() == NOT_SERVING  # it was told of nothing before


async def test_a_worker_that_drains_is_not_ready_and_those_that_watch_do_not_hold_it_up(
    endpoint: FakeEndpoint, tmp_path: Path
) -> None:
    async with serving_it(endpoint, tmp_path) as (service, channel):
        watchers = [Watcher(channel, name) for name in (*READY, LIVENESS)]
        assert {await watcher.told() for watcher in watchers} == {SERVING}
        service.process.send_signal(signal.SIGTERM)
        alive = watchers.pop()
        assert {await watcher.told() for watcher in watchers} == {NOT_SERVING}
        assert {await watcher.told() for watcher in (*watchers, alive)} == {None}
        async with asyncio.timeout(20):  # a drain may take 30
            assert await service.process.wait() == 0
