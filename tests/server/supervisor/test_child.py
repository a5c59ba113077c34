"""Children that are started again; here one that is ready at once, and ends."""

import asyncio
from pathlib import Path

import structlog

from server.app.settings import Settings
from server.supervisor.child import Child, keep
from tests.server.transport.sockets.test_hand_over import no_descriptor_left

PATIENCE_S = 20.0
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


async def logged(logs: list[structlog.typing.EventDict], *events: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while [entry["event"] for entry in logs][: len(events)] != [*events]:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
