"""A child that is ready as ours are, and drains for as long as it is let."""

import asyncio
import os
import sys

from server.app.settings import BEAT_S, stop_event, tell_ready

BEATS = 3


async def main() -> None:
    stop = stop_event()
    tell_ready("ready")
    if sys.argv[1] == "beats":
        await asyncio.sleep(BEATS * BEAT_S)
        return
    await stop.wait()
    os.write(sys.stdout.fileno(), b"draining\n")
    await asyncio.Event().wait()


asyncio.run(main())
