"""The faults of endpoints once more on uvloop, where workers meet them."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import signature

import pytest
import uvloop

from tests.server.transport.channel import test_faults as faults
from tests.server.transport.channel.raw_peer import listening

Scenario = Callable[..., Awaitable[None]]
FIXTURES = {"channel", "server"}
SCENARIOS: list[Scenario] = [
    scenario
    for name, scenario in vars(faults).items()
    if name.startswith("test_") and signature(scenario).parameters.keys() <= FIXTURES
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[one.__name__ for one in SCENARIOS])
def test_on_uvloop(scenario: Scenario) -> None:
    async def play() -> None:
        async with listening() as server, faults.channel_to(server) as channel:
            given = {"channel": channel, "server": server}
            await scenario(**{name: given[name] for name in signature(scenario).parameters})

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())
