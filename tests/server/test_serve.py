"""`turnout serve` as a whole: real processes, a real endpoint, real signals."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from server.control.kept_file import write_whole
from server.control.state_file import FILE_NAME, unpacked
from server.routing.decision_id import KEY_BYTES
from server.wire import oip_pb2
from tests.server.running import Echo, Service, answering, infer, serving, start, write_config
from turnout.v1 import admin_pb2, admin_pb2_grpc

pytestmark = pytest.mark.slow


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, str]]:
    async with answering() as endpoint:
        yield endpoint


@pytest.fixture
async def service(echo: tuple[Echo, str], tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(write_config(tmp_path, echo[1]), tmp_path / "state") as service:
        yield service


async def exit_of(process: int) -> None:
    """Waits for the end of a process that is not ours."""
    ended = asyncio.Event()
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:  # it was quicker
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def test_a_request_reaches_the_endpoint_and_comes_back(service: Service) -> None:
    answer = await infer(service.data)
    assert oip_pb2.ModelInferResponse.FromString(answer.oip_response).model_name == "small"
    assert answer.target.model == "small"


async def test_the_plan_follows_the_traffic(service: Service) -> None:
    async with asyncio.timeout(20):
        while not (await infer(service.data)).plan_id:  # noqa: ASYNC110 - only asking again tells
            await asyncio.sleep(0.1)


async def test_a_drain_loses_no_accepted_call(service: Service, echo: tuple[Echo, str]) -> None:
    endpoint = echo[0]
    endpoint.hold(1)
    call = asyncio.create_task(infer(service.data))
    async with asyncio.timeout(10):
        await endpoint.reached.wait()
    service.process.send_signal(signal.SIGTERM)
    await service.read_until("draining")
    endpoint.open.set()
    assert (await call).target.model == "small"
    assert await service.process.wait() == 0


async def test_a_killed_worker_is_started_again_on_the_same_port(service: Service) -> None:
    (worker,) = service.children("server.app.worker")
    os.kill(worker, signal.SIGKILL)
    await service.read_until("process died")
    assert (await infer(service.data)).target.model == "small"
    assert service.children("server.app.worker") != [worker]


async def test_routing_goes_on_without_the_control_plane(service: Service) -> None:
    (control,) = service.children("server.app.control")
    os.kill(control, signal.SIGSTOP)  # as good as gone, and it stays so
    assert (await infer(service.data)).target.model == "small"
    os.kill(control, signal.SIGKILL)
    await service.read_until("process died")
    assert (await infer(service.data)).target.model == "small"


async def test_an_endpoint_that_recovers_is_back_without_traffic_and_before_its_time(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    endpoint, address = echo
    health = {"consecutive_failures_max": 1, "ejection_s": 3_600, "ejection_s_max": 3_600}
    path = write_config(tmp_path, address, health=health)
    async with serving(path, tmp_path / "state") as service, asyncio.timeout(60):
        endpoint.is_down = True
        with pytest.raises(grpc.aio.AioRpcError):
            await infer(service.data)
        await until_ejected(service, True)
        endpoint.is_down = False
        await until_ejected(service, False)
        service.process.send_signal(signal.SIGTERM)
        assert await service.process.wait() == 0


async def until_ejected(service: Service, ejected: bool) -> None:
    """Waits until operators are told so of the endpoint."""
    async with grpc.aio.insecure_channel(f"unix:{service.state_dir / 'admin.sock'}") as channel:
        admin = admin_pb2_grpc.AdminServiceStub(channel)
        while True:
            (status,) = (await admin.ListModels(admin_pb2.ListModelsRequest())).models
            if [endpoint.ejected for endpoint in status.endpoints] == [ejected]:
                return
            await asyncio.sleep(0.1)


async def test_a_live_update_outlives_the_control_plane(service: Service) -> None:
    admin_address = f"unix:{service.state_dir / 'admin.sock'}"
    async with grpc.aio.insecure_channel(admin_address) as channel:
        admin = admin_pb2_grpc.AdminServiceStub(channel)
        update = admin_pb2.UpdateModelRequest(
            model=admin_pb2.Model(name="small", price=admin_pb2.Price(request_usd=0.5))
        )
        update.update_mask.paths.append("price.request_usd")
        await admin.UpdateModel(update)
        (control,) = service.children("server.app.control")
        os.kill(control, signal.SIGKILL)
        await service.read_until("process died")
        models = await admin.ListModels(
            admin_pb2.ListModelsRequest(), wait_for_ready=True, timeout=20
        )
    assert models.models[0].model.price.request_usd == 0.5
    assert (await infer(service.data)).cost_nano_usd == 500_000_000


async def test_a_second_instance_is_told_that_the_address_is_taken(
    service: Service, echo: tuple[Echo, str], tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    path = write_config(tmp_path / "second", echo[1], listeners={"data": service.data})
    second = await start(path, tmp_path / "second" / "state")
    _, errors = await second.process.communicate()
    assert second.process.returncode == 1
    holder = f"by process {service.process.pid} (python"
    assert f"{service.data}: address already in use {holder}" in errors.decode()


async def test_a_second_instance_is_told_that_the_state_folder_is_taken(
    service: Service, tmp_path: Path
) -> None:
    second = await start(tmp_path / "turnout.yaml", tmp_path / "state")
    _, errors = await second.process.communicate()
    assert second.process.returncode == 1
    holder = f"another Turnout (process {service.process.pid})"
    assert f"{holder} runs from the state folder" in errors.decode()


async def test_a_malformed_configuration_starts_nothing(tmp_path: Path) -> None:
    path = write_config(tmp_path, "127.0.0.1:1", classes=[{"name": "a", "flor": 1}])
    process = (await start(path, tmp_path / "state")).process
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert "classes[0].flor" in errors.decode()
    assert not (tmp_path / "state").exists()


async def test_an_admin_listener_on_tcp_wants_the_token(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef" * 4)
    listeners = {
        "data": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "admin_token_file": str(token),
    }
    service = await start(write_config(tmp_path, echo[1], listeners=listeners), tmp_path / "state")
    address = str((await service.read_until("serving"))["admin"])
    async with grpc.aio.insecure_channel(address) as channel:
        ask = admin_pb2_grpc.AdminServiceStub(channel).GetServerInfo
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await ask(admin_pb2.GetServerInfoRequest(), timeout=10)
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(admin_pb2.GetServerInfoRequest(), timeout=10, metadata=bearer("0" * 64))
        answer = await ask(
            admin_pb2.GetServerInfoRequest(), timeout=10, metadata=bearer(token.read_text())
        )
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert answer.version
    service.process.terminate()
    await service.process.communicate()


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


async def test_a_token_that_can_be_guessed_starts_nothing(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("guess me")
    listeners = {"admin": "127.0.0.1:0", "admin_token_file": str(tmp_path / "token")}
    service = await start(write_config(tmp_path, echo[1], listeners=listeners), tmp_path / "state")
    _, errors = await service.process.communicate()
    assert service.process.returncode == 1
    assert "shorter than 32 characters" in errors.decode()
    assert "guess me" not in errors.decode()


async def test_the_children_end_when_the_supervisor_is_killed(service: Service) -> None:
    children = service.children("server.app")
    assert len(children) == 2
    service.process.kill()
    await service.process.wait()
    async with asyncio.timeout(20):
        for child in children:
            await exit_of(child)


async def test_health_is_served(service: Service) -> None:
    async with grpc.aio.insecure_channel(service.data) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        answer = await check(
            health_pb2.HealthCheckRequest(service="turnout.v1.RoutingService"), timeout=10
        )
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


SERVED = {
    "data": {"turnout.v1.RoutingService", "inference.GRPCInferenceService"},
    "admin.sock": {"turnout.v1.AdminService"},
    "control.sock": {"turnout.v1.ControlService"},
}


@pytest.mark.parametrize("listener", SERVED)
async def test_each_listener_reflects_its_own_services(service: Service, listener: str) -> None:
    address = service.data if listener == "data" else f"unix:{service.state_dir / listener}"
    found, described = await asyncio.to_thread(reflected, address, set.union(*SERVED.values()))
    standard = {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert found == SERVED[listener] | standard
    assert described == SERVED[listener]


def reflected(address: str, services: set[str]) -> tuple[set[str], set[str]]:
    """What a client of reflection finds listed, and which of these services it can use."""
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        described = set()
        for service in services:
            with contextlib.suppress(KeyError):
                described.add(pool.FindServiceByName(service).full_name)
        return set(database.get_services()), described


async def test_what_was_spent_last_is_remembered_after_a_clean_stop(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    budget = {"name": "all", "amount_usd": 10, "period": "month"}
    path = write_config(tmp_path, echo[1], budgets=[budget], window_s=3600)
    service = await start(path, tmp_path / "state")
    await infer(str((await service.read_until("serving"))["data"]))
    service.process.terminate()
    await service.process.communicate()
    kept = unpacked((tmp_path / "state" / FILE_NAME).read_bytes()).plain
    assert kept["spending"]["budgets"]["all"]["nano_usd"] == 1_000_000


async def test_a_worker_that_was_never_ready_can_be_stopped(tmp_path: Path) -> None:
    write_whole(tmp_path / "decision.key", bytes(KEY_BYTES))
    settings = {
        "name": "worker",
        "state_dir": str(tmp_path),  # nobody listens on its control socket
        "data_address": "127.0.0.1:0",
        "admin_address": "",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.app.worker", json.dumps(settings)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    service = Service(process, tmp_path)
    await service.read_until("control plane lost")
    process.terminate()
    async with asyncio.timeout(20):
        assert await process.wait() == 0
