"""Tells a scenario's story: the service, its callers and what befalls it, on one virtual clock."""

import asyncio
import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from server.config.as_json import to_json
from server.config.live import updated
from server.config.schema import Config
from server.control.kept_file import write_whole
from server.control.update_log import Author
from tests.closed_loop import virtual_loop
from tests.closed_loop.control import LIVE, Control
from tests.closed_loop.scenario import TICKS_PER_S, ClassLaw, Drain, Kill, Reload, Scenario
from tests.closed_loop.story import Drained, Story
from tests.closed_loop.upstream import Fleet
from tests.closed_loop.worker import RunningWorker, name_of

# Tuesday, 2024-07-02 10:30:00 UTC: no period of a budget ends while a story is told.
BEGINS_S = 1_719_916_200.0
# Until everybody has heard of everything that was sent out before.
_WIRED_S = 2.0
_AUTHOR = Author("uid 1000")


def tell(scenario: Scenario, folder: Path) -> Story:
    """The whole story, told once all is quiet again."""
    story = Story(scenario)
    virtual_loop.run(lambda: _Service(scenario, story, folder).tell())
    return story


def _drained(config: Config, name: str) -> Config:
    """One that has left the configuration is as good as drained."""
    if all(model.name != name for model in config.models):
        return config
    return updated(config, "models", name, {"enabled": False})


class _Service:
    """The processes of one service, each of which may die."""

    def __init__(self, scenario: Scenario, story: Story, folder: Path) -> None:
        self._scenario = scenario
        self._story = story
        self._folders = (folder / str(n) for n in count())
        self._folder = next(self._folders)
        self._fleet = Fleet(scenario, story)
        self._workers: dict[str, RunningWorker] = {}
        self._places = {name_of(place): place for place in range(scenario.workers)}
        self._control: Control | None = None
        self._listens = asyncio.Event()

    async def tell(self) -> None:
        self._folder.mkdir()
        write_whole(self._folder / LIVE, to_json(self._scenario.config()))
        self._start("control")
        names = list(self._places)
        for name in names:
            self._start(name)
        for name in names:
            await self._workers[name].ready.wait()
        kills = [asyncio.create_task(self._kill(kill)) for kill in self._scenario.kills]
        drains = [asyncio.create_task(self._drain(drain)) for drain in self._scenario.drains]
        reloads = [asyncio.create_task(self._reload(one)) for one in self._scenario.reloads]
        callers = [asyncio.create_task(self._call(law)) for law in self._scenario.classes]
        await asyncio.gather(*kills, *drains, *reloads, *callers)
        self._story.lasted_s = self._now_s()
        await self._fall_silent()

    def _now_s(self) -> float:
        return BEGINS_S + asyncio.get_running_loop().time()

    async def _fall_silent(self) -> None:
        """All that was asked ends, all that was counted is pushed, and the plan tells of it."""
        longest_s = max(law.deadline_s for law in self._scenario.classes)
        await asyncio.sleep(longest_s + _WIRED_S + 2 * self._scenario.window_s)
        assert self._control is not None
        self._control.check()
        for worker in self._workers.values():
            worker.check()
        self._story.last = self._control.plane.plan()

    def _start(self, process: str) -> None:
        if process == "control":
            self._listens.set()
            self._control = Control(self._folder, self._story, self._now_s)
        else:
            self._workers[process] = RunningWorker(
                self._places[process], self._story, self._fleet, self._now_s
            )
        for worker in self._workers.values():
            worker.wire.other = self._control

    async def _kill(self, kill: Kill) -> None:
        await asyncio.sleep(kill.at_s)
        if kill.process != "control":
            self._workers[kill.process].check()
            self._workers[kill.process].kill()
        elif self._control is not None:
            self._listens.clear()
            self._folder = next(self._folders)
            self._control.kill(self._folder)
        await asyncio.sleep(kill.down_s)
        self._start(kill.process)

    async def _drain(self, drain: Drain) -> None:
        """The operator tries until somebody listens."""
        await asyncio.sleep(drain.at_s)
        await self._listens.wait()
        assert self._control is not None
        await self._control.plane.update(lambda had: _drained(had, drain.model), by=_AUTHOR)
        self._story.drained.append(Drained(drain.model, self._now_s()))

    async def _reload(self, reload: Reload) -> None:
        await asyncio.sleep(reload.at_s)
        await self._listens.wait()
        assert self._control is not None

        def other(had: Config) -> Config:
            left = [model for model in reversed(had.models) if model.name != reload.without]
            return had.model_copy(update={"models": tuple(left)})

        await self._control.plane.update(other, by=_AUTHOR)
        self._story.drained.append(Drained(reload.without, self._now_s()))

    async def _call(self, law: ClassLaw) -> None:
        """Callers know nothing of each other: the gaps between their calls are exponential."""
        chance = random.Random(f"{self._scenario.seed} calls {law.name}")
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        while (at_s := loop.time() - begun_s) < self._scenario.lasts_s:
            gap_s = chance.expovariate(law.per_s * self._times(law.name, at_s))
            await asyncio.sleep(max(round(gap_s * TICKS_PER_S), 1) / TICKS_PER_S)
            serving = [worker for worker in self._workers.values() if worker.ready.is_set()]
            if serving := [worker for worker in serving if not worker.is_dead]:
                worker = chance.choice(serving)
                worker.call(law, chance.choice(law.tenants), chance.choice(law.tokens))

    def _times(self, traffic_class: str, at_s: float) -> float:
        surges: Iterator[float] = (
            surge.times
            for surge in self._scenario.surges
            if surge.traffic_class == traffic_class
            and surge.at_s <= at_s < surge.at_s + surge.for_s
        )
        return max(surges, default=1.0)
