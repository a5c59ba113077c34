"""The faults of endpoints once more on uvloop, where workers meet them."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import signature

import pytest
import uvloop

from tests.server.transport.channel import (
    test_answers,
    test_closing,
    test_connecting,
    test_lost_connections,
    test_room,
    test_silent_peers,
)
from tests.server.transport.channel.calling import channel_to
from tests.server.transport.channel.raw_peer import listening

Scenario = Callable[..., Awaitable[None]]
FIXTURES = {"channel", "server"}
MODULES = (
    *(test_answers, test_closing, test_connecting),
    *(test_lost_connections, test_room, test_silent_peers),
)
SCENARIOS: list[Scenario] = [
    scenario
    for module in MODULES
    for name, scenario in vars(module).items()
    if name.startswith("test_") and signature(scenario).parameters.keys() <= FIXTURES
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[one.__name__ for one in SCENARIOS])
def test_on_uvloop(scenario: Scenario) -> None:
    async def play() -> None:
        async with listening() as server, channel_to(server) as channel:
            given = {"channel": channel, "server": server}
            await scenario(**{name: given[name] for name in signature(scenario).parameters})

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())
