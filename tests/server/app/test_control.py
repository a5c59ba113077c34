"""The control plane's process, from its start to a clean stop."""

import asyncio
import time
from pathlib import Path

from server.app.control import serve
from server.app.settings import Settings
from server.config.as_json import to_json
from server.control.client import ControlClient, control_channel
from server.control.kept_file import write_whole
from server.routing.decision_id import Sealer
from server.routing.errors import ControlPlaneDown
from tests.server.control.served import PATIENCE_S, control_plane
from tests.server.control.told import KEY, decision_id, service, usage
from turnout.v1.routing_pb2 import Outcome

# What the models of `service` take for a request that was reported.
PRICE_NANO_USD = 1_000_000
CALLERS = 8


async def acknowledged(client: ControlClient, sealer: Sealer, begun: asyncio.Event) -> int:
    """Reports one after another, until nobody answers."""
    count = 0
    while True:
        outcome = Outcome(decision_id=decision_id(now_s=time.time(), sealer=sealer), usage=usage())
        try:
            (result,) = await client.settle([outcome])
        except ControlPlaneDown:
            return count
        count += not result.reason
        begun.set()


async def test_a_clean_stop_keeps_every_report_that_was_acknowledged(tmp_path: Path) -> None:
    write_whole(tmp_path / "live.json", to_json(service()))
    write_whole(tmp_path / "decision.key", KEY)
    settings = Settings(
        name="control",
        state_dir=tmp_path,
        data_address="127.0.0.1:0",
        admin_address=f"unix:{tmp_path / 'admin.sock'}",
    )
    stop, ready, begun = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(PATIENCE_S), control_channel(settings.control_address) as channel:
        serving = asyncio.create_task(
            serve(
                settings,
                now_s=time.time,
                stop=stop,
                reload=asyncio.Event(),
                on_ready=lambda _: ready.set(),
            )
        )
        await ready.wait()
        client, sealer = ControlClient(channel, "w0"), Sealer(KEY, 1)
        async with asyncio.TaskGroup() as callers:
            reporting = [acknowledged(client, sealer, begun) for _ in range(CALLERS)]
            tasks = [callers.create_task(one) for one in reporting]
            await begun.wait()
            stop.set()
        await serving
    spent = control_plane(tmp_path, service()).values()["turnout.budget.spent"]
    count = sum(task.result() for task in tasks)
    kept = [round(dollars * 1e9) // PRICE_NANO_USD for _, dollars in spent]
    # What was on the way at the stop may be counted without an answer.
    assert count <= kept[0] <= count + CALLERS
