"""A process of ours whose loop hangs: it says so, and hears of nothing from then on."""

import asyncio

from server.app.settings import stop_event, tell_ready


async def main() -> None:
    stop_event(orphan_s=1)
    tell_ready("nowhere")
    while True:
        pass


asyncio.run(main())
