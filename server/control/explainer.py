"""Finds the step prices of the plan in force: many solves, made beside the planning."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import structlog

from optimizer.deadline import Deadline
from optimizer.step_prices import StepPrice, step_prices
from server.control.forecast import is_short
from server.control.plan import step_price_messages
from server.control.window import Window
from turnout.v1 import admin_pb2 as pb

# For each of the many solves; a step whose solve takes longer has no price.
SOLVE_S_MAX = 2.0
# For all solves of one demand; steps that are not reached in it have no price. There are two
# demands, and a rest three times as long follows: so prices are four minutes old at most.
EXPLAIN_S_MAX = 30.0
# It rests this many times as long as it worked, so that it has at most a quarter of a core.
_REST = 3

Pricer = Callable[[Window], Sequence[StepPrice]]

_log = structlog.get_logger()


def price_window(window: Window) -> Sequence[StepPrice]:
    """The optimizer's answer, for the window's typical demand."""
    return step_prices(
        window.typical,
        Deadline(EXPLAIN_S_MAX, time.monotonic),
        window_s=window.window_s,
        solve_s_max=SOLVE_S_MAX,
    )


class Explainer:
    """Prices the newest window there is; those that came while it worked are skipped."""

    def __init__(self, pricer: Pricer) -> None:
        self._pricer = pricer
        self._newest: Window | None = None
        self._told = asyncio.Event()
        self._forgets = 0
        self.prices: Sequence[pb.StepPrice] = ()
        self.took_s = 0.0

    def prices_of(self, plan: pb.Plan) -> Iterator[pb.StepPrice]:
        """The newest prices, without those that a newer plan has overtaken.

        A step says nothing of a budget that is enough by now, of a promise that cannot be kept, nor
        of what a mix would cost where one model serves alone because it costs less.
        """
        short = {budget.name for budget in plan.budgets if is_short(budget)}
        missed = {(breach.kind, _class_of(breach.name)) for breach in plan.breaches}
        alone = [one for one in plan.classes if one.saving < 0 and not one.routing_pays]
        missed |= {(kind, one.traffic_class) for one in alone for kind in ("floor", "slo")}
        for price in self.prices:
            overtaken = price.kind == "budget" and price.name not in short
            if not overtaken and (price.kind, price.name) not in missed:
                yield price

    def tell(self, window: Window) -> None:
        """Prices this window next, for it has a plan."""
        self._newest = window
        self._told.set()

    def forget(self) -> None:
        """What was priced no longer holds, for the configuration has changed."""
        self._newest, self.prices = None, ()
        self._forgets += 1

    async def run(self) -> None:
        """Explains until cancelled."""
        while True:
            await self._told.wait()
            self._told.clear()
            if self._newest is not None:
                await self._explain(self._newest)
            await asyncio.sleep(_REST * self.took_s)

    async def _explain(self, window: Window) -> None:
        begun_s, forgets = asyncio.get_running_loop().time(), self._forgets
        try:
            prices = await asyncio.to_thread(self._price, window)
        except Exception as error:  # noqa: BLE001 - a plan without prices is still a plan
            _log.error("explaining failed", exc_info=error)
            prices = ()
        self.took_s = asyncio.get_running_loop().time() - begun_s
        if self._forgets == forgets:
            self.prices = prices

    def _price(self, window: Window) -> Sequence[pb.StepPrice]:
        """For an hour like the last one, then for a day like this moment."""
        of_hour = self._pricer(window)
        of_moment = self._pricer(replace(window, typical=window.problem))
        return step_price_messages(window, of_hour, of_moment)


def _class_of(label: str) -> str:
    """The class in the name of a breach: "code", or "code (team-a)" where several pay for it."""
    return label.partition(" (")[0]
