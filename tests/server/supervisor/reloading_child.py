"""A child that notes each time it is asked to reload, and dies of the first, or of each."""

import asyncio
import os
from pathlib import Path

from server.app.settings import read_settings, reload_event, stop_event, tell_ready, tell_reloaded


async def follow(folder: Path, wanted: asyncio.Event) -> None:
    asked = folder / "asked"
    while True:
        await wanted.wait()
        wanted.clear()
        is_first = not asked.exists()
        with open(asked, "a") as file:  # noqa: ASYNC230 - nobody waits
            file.write("asked\n")
        if is_first or (folder / "dies of each").exists():
            os._exit(9)
        tell_reloaded()


async def main() -> None:
    following = asyncio.create_task(follow(read_settings().state_dir, reload_event()))
    stop = stop_event()
    tell_ready("ready")
    await stop.wait()
    following.cancel()


asyncio.run(main())
