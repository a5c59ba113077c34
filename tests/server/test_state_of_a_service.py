"""What becomes of a real service whose state folder is damaged, opened or removed."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from server.control.kept_file import write_whole
from server.control.key_file import read_key
from server.control.state_file import FILE_NAME, unpacked
from tests.server.running import Service, answering, infer, routing, serving, start, write_config
from turnout.v1 import admin_pb2, admin_pb2_grpc, routing_pb2

pytestmark = pytest.mark.slow


@pytest.fixture
async def echo_endpoint() -> AsyncIterator[str]:
    async with answering() as (_, endpoint):
        yield endpoint


@pytest.fixture
def config(echo_endpoint: str, tmp_path: Path) -> Path:
    return write_config(tmp_path, echo_endpoint)


@pytest.fixture
async def service(config: Path, tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(config, tmp_path / "state") as service:
        yield service


async def raise_price(service: Service) -> None:
    """A live update, which the file does not have."""
    async with grpc.aio.insecure_channel(f"unix:{service.state_dir / 'admin.sock'}") as channel:
        request = admin_pb2.UpdateModelRequest(
            model=admin_pb2.Model(name="small", price=admin_pb2.Price(request_usd=0.5))
        )
        request.update_mask.paths.append("price.request_usd")
        await admin_pb2_grpc.AdminServiceStub(channel).UpdateModel(request, timeout=20)


async def price(service: Service) -> float:
    async with grpc.aio.insecure_channel(f"unix:{service.state_dir / 'admin.sock'}") as channel:
        models = await admin_pb2_grpc.AdminServiceStub(channel).ListModels(
            admin_pb2.ListModelsRequest(), wait_for_ready=True, timeout=20
        )
    return models.models[0].model.price.request_usd


async def report(service: Service, decision_id: str) -> str:
    """The reason of its refusal; empty if it counted."""
    outcome = routing_pb2.Outcome(decision_id=decision_id)
    outcome.feedback.add(metric="quality", value=1.0)
    async with routing(service.data) as stub:
        response = await stub.Report(
            routing_pb2.ReportRequest(outcomes=[outcome]), wait_for_ready=True, timeout=20
        )
    return response.results[0].reason


async def ends_saying(config: Path, state_dir: Path, words: str) -> None:
    service = await start(config, state_dir)
    _, errors = await service.process.communicate()
    assert service.process.returncode == 1
    assert words in errors.decode()
    assert "Traceback" not in errors.decode()


async def test_an_empty_key_starts_nothing(config: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    write_whole(tmp_path / "state" / "decision.key", b"")
    await ends_saying(config, tmp_path / "state", "holds 0 bytes, not the 32 of a key")


async def test_a_folder_that_others_can_read_starts_nothing(config: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o755)
    await ends_saying(config, tmp_path / "state", f"chmod 700 {tmp_path / 'state'}")


async def test_everything_in_the_folder_is_for_its_owner_alone(service: Service) -> None:
    there = list(service.state_dir.iterdir())
    assert {"control.sock", "admin.sock", "decision.key"} < {path.name for path in there}
    assert [path for path in (service.state_dir, *there) if path.stat().st_mode & 0o077] == []


async def test_a_removed_folder_comes_back_with_its_key_and_live_updates(service: Service) -> None:
    await raise_price(service)
    decision_id = (await infer(service.data)).decision_id
    key = read_key(service.state_dir / "decision.key")
    shutil.rmtree(service.state_dir)
    assert (await infer(service.data)).target.model == "small"
    await service.read_until("files of the service were removed, and are made again")
    await service.read_until("process died")
    assert await price(service) == 0.5
    assert read_key(service.state_dir / "decision.key") == key
    (worker,) = service.children("server.app.worker")
    os.kill(worker, signal.SIGKILL)
    await service.read_until("process died")
    assert (await infer(service.data)).cost_nano_usd == 500_000_000
    assert await report(service, decision_id) == ""


async def test_a_socket_that_was_removed_comes_back(service: Service) -> None:
    await raise_price(service)
    (service.state_dir / "control.sock").unlink()
    await service.read_until("sockets were removed: the control plane starts again")
    await service.read_until("process died")
    assert await price(service) == 0.5
    assert (service.state_dir / "control.sock").exists()


async def test_a_damaged_live_configuration_does_not_keep_the_control_plane_away(
    service: Service,
) -> None:
    await raise_price(service)
    (service.state_dir / "live.json").write_text('{"models": [')
    (control,) = service.children("server.app.control")
    os.kill(control, signal.SIGKILL)
    entry = await service.read_until(
        "live updates are lost: the configuration of the start is in force"
    )
    assert entry["set_aside"] == str(service.state_dir / "live.json.damaged")
    assert await price(service) == 0.001


async def test_a_secret_that_every_user_can_read_is_warned_of(config: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef" * 4)
    token.chmod(0o644)
    listeners = {"admin": "127.0.0.1:0", "data": "127.0.0.1:0", "admin_token_file": str(token)}
    endpoint = "127.0.0.1:1"
    file = write_config(tmp_path, endpoint, listeners=listeners)
    async with serving(file, tmp_path / "state") as service:
        warned = [line for line in service.lines if "can read a secret" in line]
    assert len(warned) == 1
    assert '"listeners.admin_token_file"' in warned[0]
    assert str(token) not in warned[0]


BUDGET = {"name": "all", "amount_usd": 10, "period": "month"}
CALL_NANO_USD = 1_000_000  # a thousandth of a dollar


async def plan(service: Service) -> admin_pb2.Plan:
    async with grpc.aio.insecure_channel(f"unix:{service.state_dir / 'admin.sock'}") as channel:
        admin = admin_pb2_grpc.AdminServiceStub(channel)
        response = await admin.GetPlan(admin_pb2.GetPlanRequest(), wait_for_ready=True, timeout=20)
    return response.plan


async def until_kept(service: Service, nano_usd: int) -> None:
    """So much has been spent by what is on the disk."""
    async with asyncio.timeout(50):
        while _kept_nano_usd(service) != nano_usd:  # noqa: ASYNC110 - only looking again tells
            await asyncio.sleep(0.02)


def _kept_nano_usd(service: Service) -> int:
    with contextlib.suppress(FileNotFoundError, KeyError):
        plain = unpacked((service.state_dir / FILE_NAME).read_bytes()).plain
        return int(plain["spending"]["budgets"]["all"]["nano_usd"])
    return 0


async def kill(service: Service) -> None:
    """All of it at one moment, as a machine that loses power does."""
    children = [*service.children("server.app.control"), *service.children("server.app.worker")]
    for process in (service.process.pid, *children):
        os.kill(process, signal.SIGKILL)
    await service.process.communicate()


async def test_what_was_learned_and_spent_outlives_a_service_that_is_killed(
    echo_endpoint: str, tmp_path: Path
) -> None:
    path = write_config(tmp_path, echo_endpoint, budgets=[BUDGET])
    async with serving(path, tmp_path / "state") as service:
        for _ in range(3):
            await infer(service.data)
        await until_kept(service, 3 * CALL_NANO_USD)
        await infer(service.data)  # of the window that may be lost
        await kill(service)
    async with serving(path, tmp_path / "state") as service:
        async with asyncio.timeout(50):
            while not (found := await plan(service)).id:  # noqa: ASYNC110 - only asking again tells
                await asyncio.sleep(0.02)
        # There was a plan before the first request: demand was known.
        assert [cell.cell.traffic_class for cell in found.cells] == ["all"]
        assert found.budgets[0].spent_nano_usd in (3 * CALL_NANO_USD, 4 * CALL_NANO_USD)
        await infer(service.data)
        await until_kept(service, found.budgets[0].spent_nano_usd + CALL_NANO_USD)


async def test_money_is_counted_once_by_a_control_plane_that_is_killed(
    echo_endpoint: str, tmp_path: Path
) -> None:
    path = write_config(tmp_path, echo_endpoint, budgets=[BUDGET])
    async with serving(path, tmp_path / "state") as service:
        for calls in range(1, 4):
            await infer(service.data)
            (control,) = service.children("server.app.control")
            os.kill(control, signal.SIGKILL)
            await service.read_until("process died")
            await until_kept(service, calls * CALL_NANO_USD)


async def test_a_damaged_file_of_what_was_learned_is_named_and_served_without(
    config: Path, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    write_whole(tmp_path / "state" / FILE_NAME, b"damaged")
    service = await start(config, tmp_path / "state")
    try:
        entry = await service.read_until(
            "what was learned is lost, it is learned anew: the file is set aside"
        )
        assert entry["set_aside"] == str(tmp_path / "state" / f"{FILE_NAME}.damaged")
        data = str((await service.read_until("serving"))["data"])
        assert (await infer(data)).target.model == "small"
    finally:
        service.process.terminate()
        await service.process.communicate()
