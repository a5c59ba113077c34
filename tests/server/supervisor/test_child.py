"""Children that are started again; here one that is ready at once, and ends."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from server.app.settings import Settings
from server.supervisor.child import RELOADS_MAX, Child, keep
from tests.server.transport.sockets.test_hand_over import no_descriptor_left

PATIENCE_S = 20.0
RELOADING = "tests.server.supervisor.reloading_child"
READY_AND_OVER = "platform"  # Python's own: prints a line


async def test_a_child_that_no_descriptor_is_left_for_is_started_later(tmp_path: Path) -> None:
    settings = Settings(name="a", state_dir=tmp_path, data_address="", admin_address="")
    child, stopping = Child(READY_AND_OVER, settings, silent_s_max=60), asyncio.Event()
    with structlog.testing.capture_logs() as logs:
        with no_descriptor_left():
            keeper = asyncio.create_task(keep(child, stopping))
            await logged(logs, "process died", "restart failed")
        await logged(logs, "process died", "restart failed", "process died", "process died")
    stopping.set()
    await keeper


async def test_a_child_that_dies_of_a_reload_is_asked_again_until_it_has_done_it(
    tmp_path: Path,
) -> None:
    settings = Settings(name="a", state_dir=tmp_path, data_address="", admin_address="")
    child, stopping = Child(RELOADING, settings, silent_s_max=60), asyncio.Event()
    with structlog.testing.capture_logs() as logs:
        await child.start()
        keeper = asyncio.create_task(keep(child, stopping))
        child.reload()
        await until(lambda: asked(tmp_path) == 2)
        await until(lambda: not child.is_to_reload)
        child.kill()
        await logged(logs, "process died", "process died")
        await until(lambda: child.is_ready)
        assert not child.is_to_reload
    stopping.set()
    await child.stop()
    await keeper
    assert asked(tmp_path) == 2


async def test_a_child_that_dies_of_each_reload_serves_without_it_in_the_end(
    tmp_path: Path,
) -> None:
    (tmp_path / "dies of each").touch()
    settings = Settings(name="a", state_dir=tmp_path, data_address="", admin_address="")
    child, stopping = Child(RELOADING, settings, silent_s_max=60), asyncio.Event()
    with structlog.testing.capture_logs() as logs:
        await child.start()
        keeper = asyncio.create_task(keep(child, stopping))
        child.reload()
        await until(lambda: any("given up" in entry["event"] for entry in logs))
        assert child.is_ready
        assert not child.is_to_reload
    stopping.set()
    await child.stop()
    await keeper
    assert asked(tmp_path) == RELOADS_MAX


async def test_a_child_that_is_not_ready_is_asked_to_reload_once_it_is(tmp_path: Path) -> None:
    (tmp_path / "asked").write_text("asked\n")  # it does not die of this one
    settings = Settings(name="a", state_dir=tmp_path, data_address="", admin_address="")
    child = Child(RELOADING, settings, silent_s_max=60)
    child.reload()
    await child.start()
    await until(lambda: asked(tmp_path) == 2 and not child.is_to_reload)
    await child.stop()


def asked(folder: Path) -> int:
    path = folder / "asked"
    return len(path.read_text().splitlines()) if path.exists() else 0


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)


async def logged(logs: list[structlog.typing.EventDict], *events: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while [entry["event"] for entry in logs][: len(events)] != [*events]:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
