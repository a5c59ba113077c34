import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from optimizer.step_prices import StepPrice
from server.control.explainer import Explainer
from server.control.window import Window
from tests.server.control.planned import window
from tests.server.control.served import PATIENCE_S
from tests.server.control.told import CODE
from turnout.v1 import admin_pb2 as pb


class Pricer:
    """Prices a window by the domain of its cell, each when it is let."""

    def __init__(self) -> None:
        self.begun = {name: threading.Event() for name in ("old", "skipped", "new")}
        self.may_end = {name: threading.Event() for name in self.begun}

    def __call__(self, of: Window) -> Sequence[StepPrice]:
        name = of.cells[0].domain
        self.begun[name].set()
        self.may_end[name].wait(PATIENCE_S)
        return [StepPrice("floor", name, 0.01, 1_000)]

    async def wait_for(self, name: str) -> None:
        await asyncio.to_thread(self.begun[name].wait)


def named(domain: str) -> Window:
    cell = CODE._replace(domain=domain)
    return window((cell,), demand=[1.0], cost_nano_usd=[(1.0, 2.0)])


@asynccontextmanager
async def explaining(pricer: Pricer) -> AsyncIterator[Explainer]:
    explainer = Explainer(pricer)
    running = asyncio.create_task(explainer.run())
    try:
        yield explainer
    finally:
        for event in pricer.may_end.values():
            event.set()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_prices_stay_until_there_are_newer_ones() -> None:
    pricer = Pricer()
    pricer.may_end["old"].set()
    async with explaining(pricer) as explainer:
        explainer.tell(named("old"))
        await pricer.wait_for("old")
        explainer.tell(named("new"))
        await pricer.wait_for("new")
        assert [price.name for price in explainer.prices] == ["old"]


async def test_of_the_windows_told_meanwhile_only_the_newest_is_priced() -> None:
    pricer = Pricer()
    async with explaining(pricer) as explainer:
        explainer.tell(named("old"))
        await pricer.wait_for("old")
        explainer.tell(named("skipped"))
        explainer.tell(named("new"))
        pricer.may_end["old"].set()
        await pricer.wait_for("new")
    assert not pricer.begun["skipped"].is_set()


async def test_prices_that_no_longer_hold_are_forgotten_even_if_they_come_later() -> None:
    pricer = Pricer()
    async with explaining(pricer) as explainer:
        explainer.tell(named("old"))
        await pricer.wait_for("old")
        explainer.forget()
        explainer.tell(named("new"))
        pricer.may_end["old"].set()
        await pricer.wait_for("new")
        assert not explainer.prices


async def test_a_burst_changes_what_a_step_costs_in_a_day_like_this_moment_alone() -> None:
    quiet = window((CODE,), demand=[1.0], cost_nano_usd=[(1.0, 2.0)])
    busy = replace(quiet, problem=replace(quiet.problem, demand=quiet.problem.demand * 500))
    is_next, may_end = threading.Event(), threading.Event()

    def pricer(of: Window) -> Sequence[StepPrice]:
        if of is quiet:
            is_next.set()
            may_end.wait(PATIENCE_S)
        return [StepPrice("floor", "code", 0.01, round(of.typical.demand.sum()) * 24_000)]

    explainer = Explainer(pricer)
    running = asyncio.create_task(explainer.run())
    explainer.tell(busy)
    await asyncio.sleep(0)  # it takes up the first
    explainer.tell(quiet)
    await asyncio.to_thread(is_next.wait, PATIENCE_S)
    (price,) = explainer.prices
    may_end.set()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert (price.cost_nano_usd_per_hour, price.cost_nano_usd_per_day) == (1_000, 12_000_000)


def test_prices_that_a_newer_plan_has_overtaken_are_left_out() -> None:
    explainer = Explainer(lambda _: ())
    explainer.prices = [
        pb.StepPrice(kind=kind, name=name)
        for kind, name in (("floor", "code"), ("slo", "code"), ("budget", "a"), ("budget", "b"))
    ]
    plan = pb.Plan(
        breaches=[pb.Breach(kind="floor", name="code (a)")],
        budgets=[
            pb.PlanBudget(name="a", amount_nano_usd=5, expected_nano_usd=5),
            pb.PlanBudget(name="b", amount_nano_usd=5, expected_nano_usd=6),
        ],
    )
    left = [(price.kind, price.name) for price in explainer.prices_of(plan)]
    assert left == [("slo", "code"), ("budget", "b")]
