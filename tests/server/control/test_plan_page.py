"""One page, one set of numbers: of drawn windows, solved for real, as `turnout plan` shows them."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from optimizer.deadline import Deadline
from optimizer.lp import solve
from optimizer.problem import Budget, Group, Problem, Resource
from optimizer.solution import Solution
from optimizer.step_price import StepPrice
from server.cli.plan_view import plan_view
from server.control.budgets import BudgetState, period
from server.control.explainer import Explainer
from server.control.hourly import Hourly, like_an_hour
from server.control.plan import plan_message, step_price_messages
from server.control.window import Window
from server.routing.catalog import Cell
from turnout.v1 import admin_pb2 as pb

WINDOW_S, HOUR_S = 5.0, 3_600.0
NOW_S = 1_719_835_200.0  # Monday 1 July 2024, 12:00 UTC
USD = 1_000_000_000
GROUPS = (("code", "team-a+team-b"), ("code", "-"), ("chat", "team-a"))
CELLS = tuple(Cell(*group, domain="other", size_bucket="s0", kind="text") for group in GROUPS)
BUDGETS = ("team-a", "team-b")
MODELS = ("small", "large")

few = settings(max_examples=40)  # each solves a window
KINDS: Sequence[Literal["floor", "slo", "capacity", "budget"]] = (
    "floor",
    "slo",
    "capacity",
    "budget",
)

fractions = st.sampled_from([0.0, 0.3, 0.72, 0.9])
rates = st.sampled_from([0.0, 0.5, 30.0, 4_000.0])  # requests in a window
hours = st.sampled_from([0.0, 7.0, 5_000.0, 900_000.0])  # requests in an hour


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """Whose requests of this moment have nothing to do with those of the last hour."""
    shape = len(CELLS), len(MODELS)
    states = {name: draw(budgets(name)) for name in BUDGETS}
    problem = Problem(
        models=MODELS,
        groups=tuple(Group(*group, floor=draw(fractions), miss_max=0.1) for group in GROUPS),
        group_of=np.arange(len(GROUPS)),
        demand=np.array(draw(st.tuples(*[rates] * len(CELLS)))),
        cost_nano_usd=np.tile([1e5, 3e6], (len(CELLS), 1)),
        accuracy=np.tile([0.7, draw(st.sampled_from([0.8, 0.95]))], (len(CELLS), 1)),
        miss=np.tile([0.01, draw(st.sampled_from([0.02, 0.3]))], (len(CELLS), 1)),
        allowed=np.full(shape, True),
        resources=[
            Resource("large", np.tile([0.0, 1.0], (len(CELLS), 1)), draw(st.sampled_from([9, 1e6])))
        ],
        budgets=[_budget(state) for state in states.values()],
    )
    hour = Hourly(
        np.array(draw(st.tuples(*[hours] * len(GROUPS)))), draw(st.sampled_from([60.0, 3_599.0]))
    )
    promised = tuple(
        replace(group, floor=max((group.floor or 0) - draw(st.sampled_from([0.0, 0.05])), 0))
        for group in problem.groups
    )
    return Window(
        CELLS,
        problem,
        configured=replace(problem, groups=promised),
        typical=like_an_hour(problem, hour, window_s=WINDOW_S),
        hourly=hour,
        window_s=WINDOW_S,
        budgets=states,
        output_tokens=np.zeros(shape),
    )


@st.composite
def budgets(draw: st.DrawFn, name: str) -> BudgetState:
    amount = draw(st.sampled_from([1, 40, 5_000])) * USD
    spent = round(amount * draw(st.sampled_from([0.0, 0.4, 1.0, 1.2])))
    kind = draw(st.sampled_from(["hour", "day", "week", "month"]))
    _, end_s = period(kind, NOW_S)
    pace = max((amount - spent) / (end_s - NOW_S), 1.0)
    unreported = draw(st.sampled_from([0, 7, 300]))
    return BudgetState(name, kind, amount, spent, pace, unreported, unreported * USD // 10)


def every_step() -> list[StepPrice]:
    """All that there can be: they are of an older window while newer ones are sought."""
    names = {"budget": BUDGETS, "capacity": MODELS}
    return [
        StepPrice(kind, name, step, cost, accuracy, "code")
        for kind in KINDS
        for name in names.get(kind, ("code", "chat"))
        for step in (-0.01, 0.01)
        for cost in (None, -USD, 0, USD)
        for accuracy in (None, 0.01)
        if accuracy is None or kind == "budget"
    ]


def _budget(state: BudgetState) -> Budget:
    cells = np.array([state.name in cell.payer.split("+") for cell in CELLS])
    return Budget(state.name, cells, state.pace_nano_usd_per_s * WINDOW_S)


def planned(window: Window) -> pb.Plan:
    solution = solve(window.problem, Deadline(30.0, time.monotonic))
    assert isinstance(solution, Solution)
    return plan_message("1-1", window, solution, now_s=NOW_S)


def explained(window: Window) -> pb.Plan:
    plan = planned(window)
    explainer = Explainer(lambda _: ())
    explainer.prices = [
        message for step in every_step() for message in step_price_messages(window, [step], [step])
    ]
    plan.step_prices.extend(explainer.prices_of(plan))
    return plan


def page(plan: pb.Plan) -> str:
    console = Console(width=4_000, _environ={})
    with console.capture() as capture:
        console.print(plan_view(plan, now_s=NOW_S))
    return capture.get()


def lines(shown: str, *words: str) -> list[str]:
    return [line for line in shown.splitlines() if all(word in line for word in words)]


@few
@given(windows())
def test_no_budget_is_both_not_enough_and_left_with_something(window: Window) -> None:
    shown = page(explained(window))
    for name in BUDGETS:
        short = lines(shown, f"budget {name}", "used up") + lines(shown, f"in budget {name} would")
        (row,) = [line.strip() for line in shown.splitlines() if line.startswith(f"{name} ")]
        assert row.endswith("short") == bool(short), shown


@few
@given(windows())
def test_no_promise_is_both_out_of_reach_and_kept_for_nothing(window: Window) -> None:
    shown = page(explained(window))
    for name in ("code", "chat"):
        for missed, promise in (
            ("of the answers are to be right", f"accuracy promised to class {name} "),
            ("are to be answered in time", f"part of class {name} "),
        ):
            assert not (lines(shown, f"class {name}", missed) and lines(shown, promise)), shown


@few
@given(windows())
def test_every_amount_is_for_the_requests_of_an_hour_like_the_last(window: Window) -> None:
    plan = planned(window)
    assert plan.averaged_s == window.hourly.averaged_s
    for cell, told, requests in zip(plan.cells, plan.classes, window.hourly.requests, strict=True):
        each = sum(share.share * share.cost_nano_usd for share in cell.shares)
        assert told.requests_per_hour == requests
        assert told.cost_nano_usd_per_hour == pytest.approx(requests * each, rel=1e-5, abs=1)
    costs = {told.payer: told.cost_nano_usd_per_hour for told in plan.classes}
    assert plan.cost_nano_usd_per_hour == pytest.approx(sum(costs.values()), abs=3)
    for budget in plan.budgets:
        drawn = sum(cost for payer, cost in costs.items() if budget.name in payer.split("+"))
        rest_s = budget.period_end.seconds - NOW_S
        to_come = budget.cost_nano_usd_per_hour * rest_s / HOUR_S
        assert budget.cost_nano_usd_per_hour == pytest.approx(drawn, abs=3)
        expected = budget.spent_nano_usd + budget.unreported_nano_usd + to_come
        assert budget.expected_nano_usd == pytest.approx(expected, abs=rest_s / HOUR_S + 1)


@few
@given(windows())
def test_only_what_a_budget_has_is_told_by_the_day(window: Window) -> None:
    """What ten busy seconds would cost in a day is no amount that anybody pays."""
    shown = page(explained(window))
    by_the_day = [line for line in shown.splitlines() if " a day" in line]
    for line in by_the_day:
        assert line.startswith(BUDGETS) or "budget team-" in line
    assert " an hour" in lines(shown, "this mix costs")[0]
