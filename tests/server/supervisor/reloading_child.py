"""A child that notes each time it is asked to reload, and dies of the first."""

import asyncio
import os

from server.app.settings import read_settings, reload_event, stop_event, tell_ready, tell_reloaded


async def main() -> None:
    asked = read_settings().state_dir / "asked"
    wanted = reload_event()
    stop_event()
    tell_ready("ready")
    while True:
        await wanted.wait()
        wanted.clear()
        is_first = not asked.exists()
        with open(asked, "a") as file:  # noqa: ASYNC230 - nobody waits
            file.write("asked\n")
        if is_first:
            os._exit(9)
        tell_reloaded()


asyncio.run(main())
