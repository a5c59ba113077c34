"""`turnout serve` that is killed leaves nothing behind, nor anything in the next start's way."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.server.running import Echo, Service, answering, infer, serving, start, write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

END_S = 60.0


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, str]]:
    async with answering() as endpoint:
        yield endpoint


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def file_of(folder: Path, endpoint: str) -> Path:
    """Every listener on a port of its own, which the next start needs again."""
    (folder / "token").write_text("t0ken" * 8 + "\n")
    (folder / "token").chmod(0o600)
    listeners = {
        "data": f"127.0.0.1:{free_port()}",
        "admin": f"127.0.0.1:{free_port()}",
        "admin_token_file": str(folder / "token"),
        "prometheus": f"127.0.0.1:{free_port()}",
    }
    return write_config(folder, endpoint, listeners=listeners)


async def killed(service: Service) -> list[psutil.Process]:
    """Everything that ran for it, but itself."""
    left = psutil.Process(service.process.pid).children(recursive=True)
    service.process.send_signal(signal.SIGKILL)
    await service.process.wait()
    return left


async def still_there(left: list[psutil.Process]) -> list[psutil.Process]:
    return (await asyncio.to_thread(psutil.wait_procs, left, timeout=END_S))[1]


async def test_everything_ends_with_a_supervisor_that_is_killed(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    path = file_of(tmp_path, echo[1])
    async with serving(path, tmp_path / "state", "--workers", "2") as service:
        await infer(service.data)
        left = await killed(service)
        assert len(left) >= 3
        assert await still_there(left) == []


async def test_the_next_start_has_the_same_ports_and_folder_at_once(
    echo: tuple[Echo, str], tmp_path: Path
) -> None:
    path = file_of(tmp_path, echo[1])
    async with serving(path, tmp_path / "state", "--workers", "2") as first:
        await infer(first.data)
        echo[0].hold(1)
        # It keeps a worker for as long as that may drain.
        waiting = asyncio.create_task(infer(first.data))
        await echo[0].reached.wait()
        left = await killed(first)
    async with serving(path, tmp_path / "state", "--workers", "2") as second:
        assert second.data == first.data
        echo[0].open.set()
        assert (await infer(second.data)).target.model == "small"
        await asyncio.gather(waiting, return_exceptions=True)
        assert await still_there(left) == []
        second.process.terminate()
        assert await second.process.wait() == 0
    assert not any("process died" in line for line in second.lines)


async def test_a_child_that_was_not_ready_ends_too(echo: tuple[Echo, str], tmp_path: Path) -> None:
    service = await start(file_of(tmp_path, echo[1]), tmp_path / "state")
    children: list[psutil.Process] = []
    async with asyncio.timeout(END_S):
        while not children:  # the control plane, which has just begun
            await asyncio.sleep(0.01)
            children = psutil.Process(service.process.pid).children(recursive=True)
    assert await still_there(await killed(service)) == []


@pytest.mark.parametrize("name", ["admin.sock", "control.sock"])
async def test_a_file_in_the_place_of_a_socket_is_named(tmp_path: Path, name: str) -> None:
    path = write_config(tmp_path, "127.0.0.1:1")
    os.mkdir(tmp_path / "state", 0o700)
    await asyncio.to_thread((tmp_path / "state" / name).touch)
    service = await start(path, tmp_path / "state")
    _, said = await service.process.communicate()
    assert service.process.returncode == 1
    assert f"{name}: there is a file that is no socket: remove it" in said.decode()
    assert "Traceback" not in said.decode()
