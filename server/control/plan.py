"""What the optimizer answered, as operators read it: the Plan of the admin service."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from optimizer.baseline import best_model
from optimizer.money_rows import domain_label
from optimizer.problem import Bools, Floats, group_labels
from optimizer.solution import Breach, Certificate, Solution
from optimizer.step_prices import StepPrice
from server.control.binding import SHARE_MIN, bindings
from server.control.cell_messages import to_message
from server.control.forecast import forecast
from server.control.hourly import HOUR_S
from server.control.messages import timestamp
from server.control.reach import FLOOR_TOLERANCE
from server.control.sentences import breach_text, group_texts, step_price_text
from server.control.window import Window
from server.money import DAY_S, per_day
from turnout.v1 import admin_pb2 as pb

# A dollar of pace that is worth less than this part of a dollar is the solver's rounding.
DUAL_MIN = 1e-6


def plan_message(
    plan_id: str,
    window: Window,
    solution: Solution,
    *,
    now_s: float,
    out_of_reach: Bools | None = None,
) -> pb.Plan:
    """What the plan says by itself: `add_promises` adds what was promised and realised.

    Of the floors that it misses those out of reach, (G,), are named, for others may yet be held;
    None: all.

    Step prices come later, for they take longer than a plan may wait.
    """
    days, hours = window.window_s / DAY_S, window.window_s / HOUR_S
    per_hour = _cost_per_hour(window, solution)
    return pb.Plan(
        id=plan_id,
        time=timestamp(now_s),
        window_s=window.window_s,
        cells=_cells(window, solution),
        classes=_classes(window, solution, per_hour),
        budgets=_budgets(window, solution, per_hour, now_s),
        breaches=list(_breaches(window, solution, out_of_reach)),
        certificate=_certificate(solution.certificate),
        cost_nano_usd_per_day=round(solution.cost_nano_usd / days),
        best_model_cost_nano_usd_per_day=round(best_model(window.problem).cost_nano_usd / days),
        averaged_s=window.hourly.averaged_s,
        cost_nano_usd_per_hour=round(per_hour.sum()),
        best_model_cost_nano_usd_per_hour=round(best_model(window.typical).cost_nano_usd / hours),
    )


def _cost_per_hour(window: Window, solution: Solution) -> Floats:
    """(C,) nano-dollars of each cell: of the mix in force, in an hour like the last one."""
    typical = window.typical
    cost = (solution.shares * typical.cost_nano_usd).sum(axis=1)
    per_hour: Floats = typical.demand * cost * (HOUR_S / window.window_s)
    return per_hour


def step_price_messages(
    window: Window, of_hour: Sequence[StepPrice], of_moment: Sequence[StepPrice]
) -> list[pb.StepPrice]:
    """Each step once, priced for an hour like the last one and for a day like this moment.

    Its sentence is of the hour, and names what is promised now.
    """
    promised = _promised(window)
    hour, moment = (
        {(price.kind, price.name, price.step): price for price in prices}
        for prices in (of_hour, of_moment)
    )
    return [
        pb.StepPrice(
            kind=step[0],
            name=step[1],
            step=step[2],
            cost_nano_usd_per_day=now.cost_nano_usd_per_day if now else None,
            accuracy=now.accuracy if now else None,
            text=step_price_text(price, promised.get(step[:2])) if price else "",
            cost_nano_usd_per_hour=_per_hour(price),
        )
        for step in hour | moment
        for price, now in [(hour.get(step), moment.get(step))]
    ]


def _per_hour(price: StepPrice | None) -> int | None:
    if price is None or price.cost_nano_usd_per_day is None:
        return None
    return round(price.cost_nano_usd_per_day * HOUR_S / DAY_S)


def _promised(window: Window) -> Mapping[tuple[str, str], float]:
    """The bound that each class is promised, by "floor" or "slo" and its name."""
    promised = {}
    for group in window.configured.groups:
        if group.floor is not None:
            promised["floor", group.traffic_class] = group.floor
        if group.miss_max is not None:
            promised["slo", group.traffic_class] = 1 - group.miss_max
    return promised


def _cells(window: Window, solution: Solution) -> Iterator[pb.PlanCell]:
    problem = window.problem
    for i, cell in enumerate(window.cells):
        yield pb.PlanCell(
            cell=to_message(cell),
            requests_per_s=problem.demand[i] / window.window_s,
            shares=[
                pb.PlanShare(
                    model=model,
                    share=solution.shares[i, m],
                    cost_nano_usd=round(problem.cost_nano_usd[i, m]),
                    accuracy=problem.accuracy[i, m],
                    miss=problem.miss[i, m],
                )
                for m, model in enumerate(problem.models)
                if solution.shares[i, m] > SHARE_MIN
            ],
            shed=solution.shed[problem.pool_of[i]],
        )


def _classes(window: Window, solution: Solution, per_hour: Floats) -> Iterator[pb.PlanClass]:
    problem = window.problem
    costs = np.bincount(problem.group_of, per_hour, len(problem.groups))
    for g, group in enumerate(problem.groups):
        yield pb.PlanClass(
            traffic_class=group.traffic_class,
            payer=group.payer,
            requests_per_s=problem.demand[problem.group_of == g].sum() / window.window_s,
            required=group.floor or 0.0,
            accuracy=solution.accuracy[g],
            within_slo=1 - solution.miss[g],
            shed=solution.group_shed[g],
            cost_nano_usd_per_day=per_day(solution.group_cost_nano_usd[g], window.window_s),
            requests_per_hour=window.hourly.requests[g],
            cost_nano_usd_per_hour=round(costs[g]),
        )


def _budgets(
    window: Window, solution: Solution, per_hour: Floats, now_s: float
) -> Iterator[pb.PlanBudget]:
    for b, budget in enumerate(window.problem.budgets):
        state = window.budgets[budget.name]
        cost = float(per_hour @ budget.cells)
        ahead = forecast(state, cost_nano_usd_per_hour=cost, now_s=now_s)
        yield pb.PlanBudget(
            name=state.name,
            period=state.period,
            amount_nano_usd=state.amount_nano_usd,
            spent_nano_usd=state.spent_nano_usd,
            unreported=state.unreported,
            unreported_nano_usd=state.unreported_nano_usd,
            cost_nano_usd_per_day=per_day(solution.budget_cost_nano_usd[b], window.window_s),
            pace_nano_usd_per_day=per_day(budget.pace_nano_usd, window.window_s),
            binds=_binds(state.name, solution),
            cost_nano_usd_per_hour=round(cost),
            period_end=timestamp(ahead.end_s),
            expected_nano_usd=ahead.expected_nano_usd,
            text=ahead.text,
        )


def _binds(budget: str, solution: Solution) -> bool:
    """The pace costs something, or could not be kept."""
    exceeded = any(b.kind == "pace" and b.name == budget for b in solution.breaches)
    return exceeded or solution.duals.get(f"pace:{budget}", 0.0) > DUAL_MIN


def _named(window: Window, solution: Solution, out_of_reach: Bools | None) -> Iterator[Breach]:
    """The breaches, of floors as configured: what an account asks beyond was promised to nobody."""
    groups = window.configured.groups
    index = {label: g for g, label in enumerate(group_labels(groups))}
    for breach in solution.breaches:
        if breach.kind != "floor":
            yield breach
            continue
        g = index[breach.name]
        floor, may_be_held = groups[g].floor, out_of_reach is not None and not out_of_reach[g]
        if floor is not None and breach.best < floor - FLOOR_TOLERANCE and not may_be_held:
            yield replace(breach, bound=floor)


def _breaches(
    window: Window, solution: Solution, out_of_reach: Bools | None
) -> Iterator[pb.Breach]:
    """The breaches as messages; one of capacity says what is used up."""
    binds = _group_bindings(window, solution)
    groups = window.problem.groups
    whose = dict(zip(group_labels(groups), group_texts(groups), strict=True))
    whose |= {
        domain_label(window.problem, g, d): f"{text}, domain {domain}"
        for g, text in enumerate(group_texts(groups))
        for d, domain in enumerate(window.problem.domain_names)
    }
    for breach in _named(window, solution, out_of_reach):
        message = _breach(breach, window, whose)
        if breach.kind == "capacity" and breach.name in binds:
            message.text += f": {binds[breach.name]} is used up"
        yield message


def _group_bindings(window: Window, solution: Solution) -> Mapping[str, str]:
    """By group as a breach names it, what its pools run out of."""
    problem, why = window.problem, bindings(window, solution)
    labels, said = group_labels(problem.groups), defaultdict[str, list[str]](list)
    for pool, g in dict.fromkeys(
        zip(problem.pool_of.tolist(), problem.group_of.tolist(), strict=True)
    ):
        if pool in why and why[pool] not in said[labels[g]]:
            said[labels[g]].append(why[pool])
    return {label: " and ".join(parts) for label, parts in said.items() if parts}


def _breach(breach: Breach, window: Window, whose: Mapping[str, str]) -> pb.Breach:
    """A breach as a message, with money by the day."""
    kind = "budget" if breach.kind == "pace" else "class"
    scale = DAY_S / window.window_s if breach.kind == "pace" else 1.0
    return pb.Breach(
        kind=breach.kind,
        name=breach.name,
        bound=breach.bound * scale,
        best=breach.best * scale,
        text=breach_text(
            breach, whose.get(breach.name, f"{kind} {breach.name}"), window_s=window.window_s
        ),
    )


def _certificate(certificate: Certificate) -> pb.Certificate:
    return pb.Certificate(
        duality_gap=certificate.duality_gap,
        worst_violation=certificate.worst_violation,
        relaxed=certificate.relaxed,
        stopped=certificate.stopped,
    )
