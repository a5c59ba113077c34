import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from optimizer.deadline import Deadline
from optimizer.solution import Failure, Solution
from server.config.as_json import to_json
from server.control.corridor import Corridor, solve_window
from server.control.estimates import Estimates
from server.control.explainer import Explainer
from server.control.knowledge import Knowledge
from server.control.publisher import Publisher
from server.control.replanner import Replanner
from server.control.window import Window
from tests.server.control.served import PATIENCE_S, no_prices
from tests.server.control.told import CODE, NOW_S, answered, push, service


class Held:
    """A solver that waits until it is let go, or nobody waits for it any more."""

    def __init__(self) -> None:
        self.windows: list[Window] = []
        self.hurried: list[bool] = []
        self.go = threading.Event()

    def __call__(self, window: Window, deadline: Deadline) -> Solution | Failure:
        self.windows.append(window)
        while not self.go.wait(0.001) and deadline.left_s():
            pass
        self.hurried.append(not deadline.left_s())
        if self.hurried[-1]:
            return Failure("limit", "it was given up")  # as the process that solves large windows
        return solve_window(window, Deadline(10.0, lambda: 0.0))


class Planning:
    """A replanner that runs, while the clock stands still."""

    def __init__(self, solver: Held, knowledge: Knowledge) -> None:
        self.solver = solver
        self.knowledge = knowledge
        self.corridor = Corridor(knowledge, Estimates(), epoch=7, begun_s=NOW_S - 5, solver=solver)
        self.replanner = Replanner(
            self.corridor,
            knowledge,
            Publisher(7, to_json(knowledge.config)),
            Explainer(no_prices),
            epoch=7,
            clock=lambda: NOW_S,
        )

    async def __aenter__(self) -> "Planning":
        self._running = asyncio.create_task(self.replanner.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if holds():
                    return
                await asyncio.sleep(0.001)

    async def begin(self, steps: int) -> None:
        """Until so many solves have begun, of which the last waits."""
        await self.until(lambda: len(self.solver.windows) == steps)


def planning(solver: Held) -> Planning:
    knowledge = Knowledge(service(window_s=3_600.0))
    knowledge.count_push(push(answered(CODE, "small", 20)), now_s=NOW_S)
    return Planning(solver, knowledge)


async def test_plans_of_one_control_plane_have_ids_of_its_epoch() -> None:
    solver = Held()
    solver.go.set()
    async with planning(solver) as found:
        found.replanner.wake()
        await found.until(lambda: found.corridor.plan is not None)
        assert found.corridor.plan is not None
        assert found.corridor.plan.id == "7-1"


async def test_the_loop_goes_on_while_a_step_works() -> None:
    async with planning(Held()) as found:
        found.replanner.wake()
        await found.begin(1)
        found.knowledge.count_push(push(answered(CODE, "small", 25), sequence=2), now_s=NOW_S)
        assert found.knowledge.totals["code", "small"].completed == 25
        assert found.corridor.plan is None
        found.solver.go.set()
        await found.until(lambda: found.corridor.plan is not None)


async def test_a_wake_is_heard_while_a_step_works() -> None:
    async with planning(Held()) as found:
        found.replanner.wake()
        await found.begin(1)
        found.replanner.wake()
        await found.begin(2)
        # What the first one would have found is not used: the second knows more.
        assert found.solver.hurried == [True]
        assert found.corridor.plan is None
        found.solver.go.set()
        await found.until(lambda: found.corridor.plan is not None)
        assert found.solver.hurried == [True, False]


async def test_wakes_without_end_do_not_keep_every_plan_from_being_used() -> None:
    async with planning(Held()) as found:
        for steps in (1, 2):
            found.replanner.wake()
            await found.begin(steps)
        for _ in range(10):
            found.replanner.wake()
            await asyncio.sleep(0)
        # Hurried too, the second would find nothing either, and so would each that follows.
        assert found.solver.hurried == [True]
        found.solver.go.set()
        await found.until(lambda: found.corridor.plan is not None)
        assert found.solver.hurried[:2] == [True, False]


async def test_a_plan_of_an_older_configuration_is_never_used() -> None:
    async with planning(Held()) as found:
        for steps in (1, 2, 3):
            found.replanner.wake()
            await found.begin(steps)
            found.knowledge.configure(service(window_s=3_600.0))
        assert found.corridor.plan is None
        found.solver.go.set()
        found.replanner.wake()
        await found.until(lambda: found.corridor.plan is not None)
