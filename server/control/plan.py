"""What the optimizer answered, as operators read it: the Plan of the admin service."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from optimizer.baseline import best_model
from optimizer.estimate.accuracy import AccuracyEstimate
from optimizer.explain import breach_text, step_price_text
from optimizer.problem import group_labels
from optimizer.solution import Breach, Certificate, Solution
from optimizer.step_prices import StepPrice
from server.config.classes import ClassConfig
from server.control.binding import SHARE_MIN, bindings
from server.control.cell_messages import to_message
from server.control.facts import Given, GroupName
from server.control.messages import estimate_message, timestamp
from server.control.window import Window
from turnout.v1 import admin_pb2 as pb

_DAY_S = 86_400.0
# A dollar of pace that is worth less than this part of a dollar is the solver's rounding.
DUAL_MIN = 1e-6
# A floor that the plan misses by less is missed by rounding.
FLOOR_TOLERANCE = 1e-6


def plan_message(plan_id: str, window: Window, solution: Solution, *, now_s: float) -> pb.Plan:
    """What the plan says by itself: `add_promises` adds what was promised and realised.

    Step prices come later, for they take longer than a plan may wait.
    """
    days = window.window_s / _DAY_S
    return pb.Plan(
        id=plan_id,
        time=timestamp(now_s),
        window_s=window.window_s,
        cells=_cells(window, solution),
        classes=_classes(window, solution),
        budgets=_budgets(window, solution),
        breaches=list(_breaches(window, solution)),
        certificate=_certificate(solution.certificate),
        cost_nano_usd_per_day=round(solution.cost_nano_usd / days),
        best_model_cost_nano_usd_per_day=round(best_model(window.problem).cost_nano_usd / days),
    )


def step_price_messages(prices: Sequence[StepPrice]) -> list[pb.StepPrice]:
    """Each with its sentence."""
    return [
        pb.StepPrice(
            kind=price.kind,
            name=price.name,
            step=price.step,
            cost_nano_usd_per_day=price.cost_nano_usd_per_day,
            accuracy=price.accuracy,
            text=step_price_text(price),
        )
        for price in prices
    ]


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


def _classes(window: Window, solution: Solution) -> Iterator[pb.PlanClass]:
    problem = window.problem
    for g, group in enumerate(problem.groups):
        yield pb.PlanClass(
            traffic_class=group.traffic_class,
            payer=group.payer,
            requests_per_s=problem.demand[problem.group_of == g].sum() / window.window_s,
            required=group.floor or 0.0,
            accuracy=solution.accuracy[g],
            within_slo=1 - solution.miss[g],
            shed=solution.group_shed[g],
            cost_nano_usd_per_day=round(solution.group_cost_nano_usd[g] * _DAY_S / window.window_s),
        )


def add_promises(plan: pb.Plan, given: Given, accuracy: AccuracyEstimate) -> None:
    """What each class and payer was promised, and what was realised of it."""
    for message in plan.classes:
        config = given.classes[message.traffic_class]
        name = message.traffic_class, message.payer
        message.floor = config.floor or 0.0
        message.floor_basis = floor_basis(config)
        realised = accuracy.of_group(*name, given.now_s)
        message.realised_accuracy.CopyFrom(estimate_message(realised))
        if config.slo is not None:
            message.slo_fraction = config.slo.fraction
        message.realised_within_slo = realised_within_slo(given, name)
        message.realised_shed = _realised_shed(given, name)


def floor_basis(config: ClassConfig) -> str:
    """Whether grades come that could show a floor to be missed."""
    if config.floor is None:
        return "none"
    return "assumed" if config.grades == "none" else "audited"


def realised_within_slo(given: Given, name: GroupName) -> float:
    """The fraction of the last hour's requests; 1 where there were none, for none was late."""
    hour = given.last_hour.of(("group", name), now_s=given.now_s)
    return 1 - hour.slo_missed / max(hour.completed, 1)


def _realised_shed(given: Given, name: GroupName) -> float:
    """The fraction of the last hour's requests that was refused."""
    hour = given.last_hour.of(("group", name), now_s=given.now_s)
    return hour.shed / max(hour.decided + hour.shed, 1)


def _budgets(window: Window, solution: Solution) -> Iterator[pb.PlanBudget]:
    for b, budget in enumerate(window.problem.budgets):
        state = window.budgets[budget.name]
        yield pb.PlanBudget(
            name=state.name,
            period=state.period,
            amount_nano_usd=state.amount_nano_usd,
            spent_nano_usd=state.spent_nano_usd,
            unreported=state.unreported,
            unreported_nano_usd=state.unreported_nano_usd,
            cost_nano_usd_per_day=round(
                solution.budget_cost_nano_usd[b] * _DAY_S / window.window_s
            ),
            pace_nano_usd_per_day=round(state.pace_nano_usd_per_s * _DAY_S),
            binds=_binds(state.name, solution),
        )


def _binds(budget: str, solution: Solution) -> bool:
    """The pace costs something, or could not be kept."""
    exceeded = any(b.kind == "pace" and b.name == budget for b in solution.breaches)
    return exceeded or solution.duals.get(f"pace:{budget}", 0.0) > DUAL_MIN


def _named(window: Window, solution: Solution) -> Iterator[Breach]:
    """Floors as configured: what an account asks beyond that was promised to nobody."""
    groups = window.configured.groups
    floors = dict(zip(group_labels(groups), (group.floor for group in groups), strict=True))
    for breach in solution.breaches:
        if breach.kind != "floor":
            yield breach
            continue
        floor = floors[breach.name]
        if floor is not None and breach.best < floor - FLOOR_TOLERANCE:
            yield replace(breach, bound=floor)


def _breaches(window: Window, solution: Solution) -> Iterator[pb.Breach]:
    """What is shed says what binds."""
    binds = _group_bindings(window, solution)
    for breach in _named(window, solution):
        message = _breach(breach, window)
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


def _breach(breach: Breach, window: Window) -> pb.Breach:
    """Money is told by the day, as everywhere in a plan."""
    scale = _DAY_S / window.window_s if breach.kind == "pace" else 1.0
    return pb.Breach(
        kind=breach.kind,
        name=breach.name,
        bound=breach.bound * scale,
        best=breach.best * scale,
        text=breach_text(breach, window_s=window.window_s),
    )


def _certificate(certificate: Certificate) -> pb.Certificate:
    return pb.Certificate(
        duality_gap=certificate.duality_gap,
        worst_violation=certificate.worst_violation,
        relaxed=certificate.relaxed,
        stopped=certificate.stopped,
    )
