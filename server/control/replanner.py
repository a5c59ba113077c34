"""Decides when to plan: every window, and at once when something has changed."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from server.control.corridor import Corridor, Draft, Haste, Step
from server.control.explainer import Explainer
from server.control.facts import Given
from server.control.knowledge import Knowledge
from server.control.plan_archive import PlanArchive, packed
from server.control.publisher import Publisher
from turnout.v1.admin_pb2 import Plan

_log = structlog.get_logger()


# Called when a step gathers all that was told; what it returns is called once that is learned.
OnGathered = Callable[[float], Callable[[], None]]


def _keep_nothing(_now_s: float) -> Callable[[], None]:
    return lambda: None


class Replanner:
    """Steps work in a thread, so that workers and operators are answered meanwhile."""

    def __init__(  # noqa: PLR0913 - all that planning needs
        self,
        corridor: Corridor,
        knowledge: Knowledge,
        publisher: Publisher,
        explainer: Explainer,
        *,
        epoch: int,
        clock: Callable[[], float],
        on_gathered: OnGathered = _keep_nothing,
    ) -> None:
        self._corridor = corridor
        self._knowledge = knowledge
        self._publisher = publisher
        self._explainer = explainer
        self._clock = clock
        self._on_gathered = on_gathered
        self._wake = asyncio.Event()
        self._is_dropped = False  # whether the last step's plan was dropped
        self.archive = PlanArchive(epoch)

    def wake(self) -> None:
        """Plans at once, because something has changed that the plan rests on."""
        self._wake.set()

    async def run(self) -> None:
        """Plans until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                # Not wait_for, which forgets that it is cancelled where a wake comes as well.
                async with asyncio.timeout(self._knowledge.config.window_s):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._replan()
            except Exception as error:  # noqa: BLE001 - whatever it is, the older plan goes on
                _log.error("planning failed", exc_info=error)
                self._corridor.fail(f"{type(error).__name__}: {error}")

    def explained(self) -> Plan | None:
        """The plan in force with the newest step prices; None before the first."""
        plan = self._corridor.plan
        if plan is None:
            return None
        explained = Plan()
        explained.CopyFrom(plan)
        explained.step_prices.extend(self._explainer.prices_of(plan))
        explained.solve_ms += self._explainer.took_s * 1_000
        return explained

    async def _replan(self) -> None:
        begun_s = self._clock()
        given, on_learned = self._corridor.gather(begun_s), self._on_gathered(begun_s)
        try:
            step = await self._work(given)
        finally:  # the facts are learned, or lost, whatever comes of the plan
            on_learned()
        replaced = b""
        if step.draft is not None:
            step.draft.plan.solve_ms = (self._clock() - begun_s) * 1_000
            if step.draft.is_another:
                replaced = await asyncio.to_thread(self._packed)
        # No await from here on: the plan of an older configuration would name models that workers
        # do not know.
        self._is_dropped = self._is_stale(step)
        if not self._is_dropped:
            self._put_in_force(step, replaced)

    async def _work(self, given: Given) -> Step:
        """Runs a step, and hurries it once somebody wakes us: the next step knows more."""
        haste = Haste()
        working = asyncio.ensure_future(asyncio.to_thread(self._corridor.work, given, haste))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((working, waking), return_when=asyncio.FIRST_COMPLETED)
            haste.is_over = not working.done() and self._is_in_vain(given)
            return await working
        finally:
            waking.cancel()
            # A thread cannot be stopped: the estimates are its own until it is done.
            haste.is_over = True
            await asyncio.wait((working,))

    def _is_in_vain(self, given: Given) -> bool:
        """Whether a step that somebody has waked is to be dropped, as things stand.

        One that is not is finished in full: hurried, it would find no plan to use.
        """
        return given.config is not self._knowledge.config or not self._is_dropped

    def _is_stale(self, step: Step) -> bool:
        """Whether the next step, which follows at once, finds something better.

        One step in a row: whatever comes and goes must not keep every plan from being used.
        """
        is_of_now = step.given.config is self._knowledge.config
        return not is_of_now or (self._wake.is_set() and not self._is_dropped)

    def _put_in_force(self, step: Step, replaced: bytes) -> None:
        before = self._corridor.plan
        self._corridor.accept(step)
        if step.draft is None:
            if step.is_fault:
                _log.error("solving failed", reason=step.failure)
            return
        if before is not None and step.draft.is_another:
            self.archive.add(before.id, replaced)
        self._publish(step.draft, step.given.now_s)

    def _publish(self, draft: Draft, now_s: float) -> None:
        window_s = draft.window.window_s
        if draft.parts:
            self._publisher.publish_plan(draft.parts, plan_s=now_s, window_s=window_s)
        else:
            self._publisher.confirm_plan(plan_s=now_s, window_s=window_s)
        self._explainer.tell(draft.window)

    def _packed(self) -> bytes:
        plan = self.explained()
        return b"" if plan is None else packed(plan)
