"""One life of a control plane; only its listeners are left out."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from optimizer.deadline import Deadline
from optimizer.solution import Failure, Solution
from optimizer.step_prices import StepPrice
from server.app.settings import LIVE_BYTES_MAX
from server.config.as_json import from_json
from server.control.corridor import solve_window
from server.control.kept_file import read_own
from server.control.kept_files import KeptFiles
from server.control.plane import ControlPlane
from server.control.window import Window
from server.routing.decision_id import KEY_BYTES
from server.rpc.control import ControlServicer
from tests.closed_loop.story import Solve, Story
from turnout.v1 import control_pb2 as pb

KEY = bytes(KEY_BYTES)
LIVE = "live.json"

Ends = asyncio.Queue[bytes | None]  # None: the other side is gone


class Control:
    """Begins with what its folder holds, as server.app.control does."""

    def __init__(self, folder: Path, story: Story, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._story = story
        self._clock = clock
        config = from_json(read_own(folder / LIVE, bytes_max=LIVE_BYTES_MAX))
        files = KeptFiles.in_folder(folder)
        self.plane = ControlPlane(
            config, KEY, files, clock=clock, solver=self._solve, pricer=_no_prices
        )
        self.servicer = ControlServicer(self.plane)
        self.is_dead = False
        if story.control_killed_s:
            story.control_back_s.append(clock())
        self._ends: list[Ends] = []
        self._running = asyncio.create_task(self.plane.run())

    def attach(self, end: Ends) -> None:
        """This watcher hears of the end."""
        self._ends.append(end)

    async def watch(self, request: pb.WatchPlanRequest) -> AsyncIterator[pb.WatchPlanResponse]:
        context: Any = None
        async for part in self.servicer.WatchPlan(request, context):
            if part.plan_id not in self._story.plans and (plan := self.plane.plan()):
                assert part.plan_id in ("", plan.id)
                self._story.plans[plan.id] = plan
                self._story.published.append((self._clock(), plan.id))
            yield part

    def kill(self, left: Path) -> None:
        """What is in the folder at this instant is left in another: nothing more gets there."""
        shutil.copytree(self._folder, left)
        self.is_dead = True
        self._story.control_killed_s.append(self._clock())
        self._running.cancel()
        for end in self._ends:
            end.put_nowait(None)

    def check(self) -> None:
        """Raises what ended it, if it ended by itself."""
        if self._running.done():
            self._running.result()

    def _solve(self, window: Window, deadline: Deadline) -> Solution | Failure:
        solution = solve_window(window, deadline)
        self._story.solves.append(Solve(self._clock(), window, solution))
        return solution


def _no_prices(window: Window) -> Sequence[StepPrice]:
    """Step prices change nothing of what happens."""
    return ()
