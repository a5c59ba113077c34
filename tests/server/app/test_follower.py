"""A worker puts in force what its control plane sends, and goes on answering meanwhile."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import cast

from server.app.follower import Follower
from server.config.classes import ClassConfig
from server.config.match import ALTERNATIVES_MAX, MatchConfig
from server.config.schema import Config
from server.control.client import ControlClient, Snapshot
from server.control.large_config import RULES_AT_ONCE
from server.routing.catalog import Model
from server.routing.counters import Counters
from server.routing.decision_id import KEY_BYTES, Sealer
from server.routing.router import Router
from server.routing.selector import Selector, WeightTable
from tests.server.routing.configs import config, model


class Control:
    """A control plane whose snapshots are put in one by one."""

    def __init__(self) -> None:
        self._queue = asyncio.Queue[Snapshot]()

    def send(self, number: int, config: Config | None, plan_id: str = "p1") -> None:
        self._queue.put_nowait(Snapshot(1, number, config, WeightTable(plan_id)))

    async def snapshots(self) -> AsyncGenerator[Snapshot, None]:
        while True:
            yield await self._queue.get()


class Following:
    """A worker's follower, and what it tells others."""

    def __init__(self) -> None:
        self.control = Control()
        self.tracked: list[str] = []
        self.epochs: list[int] = []
        self.in_force: list[int] = []  # numbers of configurations
        self.configured = asyncio.Event()
        self.router = Router(
            Selector(), Sealer(bytes(KEY_BYTES), boot=1), Counters(), chance=lambda: 0.5
        )
        self.follower = Follower(self.router, self._track, self.epochs.append, self.in_force.append)

    async def _track(self, models: Iterable[Model]) -> None:
        self.tracked = [each.name for each in models]
        self.configured.set()

    def names(self) -> list[str]:
        return [each.name for each in self.router.models()]


@asynccontextmanager
async def following() -> AsyncIterator[Following]:
    made = Following()
    task = asyncio.create_task(made.follower.run(cast("ControlClient", made.control)))
    yield made
    task.cancel()
    await asyncio.wait([task])


def large(rules: int) -> Config:
    """So many rules, in classes of as many as there may be."""
    classes = [
        ClassConfig(
            name=f"c{begin}",
            match=tuple(
                MatchConfig(tenant=(f"t{number}",))
                for number in range(begin, min(begin + ALTERNATIVES_MAX, rules))
            ),
        )
        for begin in range(0, rules, ALTERNATIVES_MAX)
    ]
    return config(model("new"), classes=(*classes, ClassConfig(name="rest", default=True)))


async def test_a_small_configuration_is_in_force_in_the_turn_in_which_it_comes() -> None:
    async with following() as given:
        given.control.send(1, config(model("small")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (given.names(), given.tracked, given.epochs) == (["small"], ["small"], [1])
        assert (given.router.table.plan_id, given.follower.ready.is_set()) == ("p1", True)


async def test_while_a_large_configuration_is_compiled_the_loop_has_its_turns() -> None:
    async with following() as given:
        given.control.send(1, config(model("small")))
        await given.follower.ready.wait()
        given.configured.clear()
        given.control.send(2, large(20 * RULES_AT_ONCE), "p2")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (given.names(), given.router.table.plan_id) == (["small"], "p1")
        await given.configured.wait()
        assert (given.names(), given.tracked) == (["new"], ["new"])
        assert given.router.table.plan_id == "p2"
