"""A plan that a finance person can follow, in 80 columns and more."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from server.cli.figures import a, age, counted, percent
from server.cli.plan_promises import promises, was_late, was_worse
from server.cli.terminal import plain_table
from server.control.class_mix import ModelPart, class_mix, class_parts
from server.money import usd
from server.routing.catalog import payer_text
from turnout.v1 import admin_pb2 as pb

_BUYS = "best_within_budget"
_HOUR_S, _MINUTE_S = 3_600, 60
# An average over more than this is one over an hour: the minute that runs is not over yet.
_NEARLY_AN_HOUR_S = _HOUR_S - _MINUTE_S


def plan_view(plan: pb.Plan, *, now_s: float) -> RenderableType:
    """What is not met first, then what the plan costs and why."""
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in _parts(plan, now_s)))


def no_plan_view(reason: str) -> RenderableType:
    """Why there is no plan, and what holds until there is; no reason before a window has ended."""
    return Text(
        f"There is no plan yet: {reason or 'the first window has not ended'}. Until there is one, "
        "each request goes to the cheapest model that is believed accurate enough for its class."
    )


def _parts(plan: pb.Plan, now_s: float) -> Iterator[RenderableType]:
    yield _head(plan, now_s)
    if missed := list(_missed(plan)):
        yield _sentences("Not met", missed, "red")
    if changes := [change.text for change in plan.model_changes]:
        yield _sentences("Changed within the hour", changes, "yellow")
    yield _cost(plan)
    yield promises(plan)
    yield from _said(plan.classes)
    yield _mix(plan.cells)
    if plan.budgets:
        yield _budgets(plan)
    if unreported := list(_unreported(plan.budgets)):
        yield _sentences("Not reported yet", unreported, "")
    if steps := [price.text for price in plan.step_prices if price.text]:
        yield _sentences(f"What a change would do, {_traffic(plan)}", steps, "")


def _head(plan: pb.Plan, now_s: float) -> Text:
    age_s = max(0.0, now_s - plan.time.ToNanoseconds() / 1e9)
    head = Text.assemble((f"Plan {plan.id}", "bold"))
    head.append(f", {age(age_s)} old, renewed every {plan.window_s:g} s\n", "dim")
    head.append(_proven(plan), "dim")
    if plan.failure:
        head.append(f"\nNo newer plan could be made: {plan.failure}", "yellow")
    return head


def _proven(plan: pb.Plan) -> str:
    """What the certificate means for who reads the plan."""
    match plan.certificate.stopped, plan.certificate.relaxed:
        case "", _ if any(breach.kind == "short" for breach in plan.breaches):
            return "It is proven that no mix gives up less for the money that there is."
        case "", "" | "none" if any(one.aim == _BUYS for one in plan.classes):
            return "It is proven that no mix that keeps these promises buys more for its money."
        case "", "" | "none" | "pace" if any(budget.binds for budget in plan.budgets):
            return "It is proven that no mix keeps these promises and spares the budgets better."
        case "", "" | "none" | "pace":
            return "It is proven that no other mix keeps these promises for less."
        case "", _ if any(breach.kind != "pace" for breach in plan.breaches):
            return "Not every promise can be kept. It is proven that no mix comes nearer."
        case "", _:  # the margin of a floor, which is promised to nobody
            return "Not all that is aimed at can be reached. It is proven that no mix comes nearer."
        case "time", _:
            return "A better mix may exist: the search for it reached its time limit."
    return "A better mix may exist: it could not be proven that there is none."


def _missed(plan: pb.Plan) -> Iterator[str]:
    """Of budgets what holds on average: what a busy moment costs says nothing of a period.

    What floors give up for them, as they may, is said of the class.
    """
    yield from (b.text for b in plan.breaches if b.kind not in ("pace", "short"))
    yield from (budget.text for budget in plan.budgets if _is_short(budget))


def _keeps_promises(plan: pb.Plan) -> bool:
    """Whether every class is planned, and was seen, to get what it was promised."""
    planned = all(breach.kind == "pace" for breach in plan.breaches)
    return planned and not any(was_late(one) or was_worse(one) for one in plan.classes)


def _is_short(budget: pb.PlanBudget) -> bool:
    return budget.expected_nano_usd > budget.amount_nano_usd


def _traffic(plan: pb.Plan) -> str:
    """Which requests all amounts are for."""
    if plan.averaged_s >= _NEARLY_AN_HOUR_S:
        return "at the last hour's traffic"
    minutes = max(round(plan.averaged_s / _MINUTE_S), 1)
    since = "minute" if minutes == 1 else f"{minutes} minutes"
    return f"at the traffic of the last {since}"


def _cost(plan: pb.Plan) -> Text:
    cost, best = plan.cost_nano_usd_per_hour, plan.best_model_cost_nano_usd_per_hour
    text = Text.assemble(f"A{_traffic(plan)[1:]} this mix costs ", (usd(cost), "bold"), " an hour")
    if best > 0:
        text.append("; the most accurate model alone would cost ")
        text.append(usd(best), "bold").append(" an hour, ").append_text(_compared(plan))
    return text.append(".")


def _compared(plan: pb.Plan) -> Text:
    """How the mix stands beside one model for all.

    What is cheaper than the mix at the moment that it was planned for lacks something.
    """
    dearer_by = plan.cost_nano_usd_per_hour / plan.best_model_cost_nano_usd_per_hour - 1
    if round(dearer_by, 3) == 0:  # what a per cent with one decimal shows
        return Text("the same")
    saved = percent(-dearer_by)
    if dearer_by < 0 and not _keeps_promises(plan):
        but = "but does not keep every promise"
        return Text(f"so the mix costs {saved} less, {but}", "yellow")
    if dearer_by < 0:
        return Text.assemble("so the mix saves ", (saved, "bold green"))
    if plan.cost_nano_usd_per_day <= plan.best_model_cost_nano_usd_per_day:
        return Text("less than this mix, which was made for the requests of this moment", "yellow")
    lacks = "too little capacity, too slow, or below a floor"
    return Text(f"but would not keep every promise: {lacks}", "yellow")


def _said(classes: Sequence[pb.PlanClass]) -> Iterator[RenderableType]:
    """What there is to say of each class, by what it is about."""
    about = {
        "Beside one model for all": [
            (one, f": {one.routing_text}") for one in classes if one.routing_text
        ],
        "What budgets do to the mix": [
            (one, f" {one.money_text}") for one in classes if one.money_text
        ],
        "Aimed above or below the floor": [
            (one, f" is {one.required_text}") for one in classes if one.required_text
        ],
        "Tried to learn from it": [
            (one, f" {one.explored_text}") for one in classes if one.explored_text
        ],
    }
    for title, found in about.items():
        if found:
            yield _sentences(title, [f"{_whose(one, classes)}{text}" for one, text in found], "")


def _whose(found: pb.PlanClass, classes: Sequence[pb.PlanClass]) -> str:
    whose = f"class {found.traffic_class}"
    if sum(one.traffic_class == found.traffic_class for one in classes) > 1:
        whose += f" (paid by {payer_text(found.payer)})"
    return whose


def _mix(cells: Sequence[pb.PlanCell]) -> Table:
    table = plain_table("class", "model", "share>", "", "accuracy>", "cost of 1,000>")
    table.title = "Mix"
    table.columns[3].ratio = 1  # the bar takes what is left of the width
    table.expand = True
    for traffic_class, mix in sorted(_mixes(cells).items()):
        for number, part in enumerate(mix):
            table.add_row(
                Text(traffic_class if number == 0 else "", "bold"),
                part.model,
                percent(part.share),
                Bar(1, 0, part.share, color="green"),
                percent(part.accuracy),
                usd(1_000 * part.cost_nano_usd),
            )
        table.add_section()
    return table


def _mixes(cells: Sequence[pb.PlanCell]) -> Mapping[str, list[ModelPart[str]]]:
    """The mix of each class."""
    by_class: defaultdict[str, list[pb.PlanCell]] = defaultdict(list)
    for cell in cells:
        by_class[cell.cell.traffic_class].append(cell)
    return {name: class_mix(_model_parts(found)) for name, found in by_class.items()}


def _model_parts(cells: Sequence[pb.PlanCell]) -> Iterator[ModelPart[str]]:
    of_class = class_parts([cell.requests_per_s for cell in cells])
    for cell, part in zip(cells, of_class, strict=True):
        for one in cell.shares:
            yield ModelPart(one.model, part * one.share, one.cost_nano_usd, one.accuracy)


def _budgets(plan: pb.Plan) -> Table:
    table = plain_table("budget", "spent>", "of", "costs an hour>", "ends", "left then>")
    table.title = f"Budgets, {_traffic(plan)}"
    for budget in plan.budgets:
        left = budget.amount_nano_usd - budget.expected_nano_usd
        table.add_row(
            Text(budget.name, "bold"),
            usd(budget.spent_nano_usd),
            f"{usd(budget.amount_nano_usd)} {a(budget.period)}",
            usd(budget.cost_nano_usd_per_hour),
            _end(budget),
            Text(f"{usd(-left)} short", "red") if left < 0 else Text(usd(left), "green"),
        )
    return table


def _end(budget: pb.PlanBudget) -> str:
    """Of the period, in UTC as all periods."""
    end = datetime.fromtimestamp(budget.period_end.seconds, UTC)
    return f"{end.day} {end:%b %H:%M} UTC"


def _unreported(budgets: Sequence[pb.PlanBudget]) -> Iterator[str]:
    """What callers have not told of is not part of what is spent."""
    for budget in budgets:
        if budget.unreported:
            decisions = counted(f"{budget.unreported:,}", "decision")
            cost = usd(budget.unreported_nano_usd)
            yield (
                f"budget {budget.name}: callers of Route have not said what came of {decisions} "
                f"of this {budget.period}, expected to cost another {cost}: 'left then' is after it"
            )


def _sentences(title: str, sentences: Sequence[str], style: str) -> Group:
    lines = Table.grid(padding=(0, 1))
    for sentence in sentences:
        lines.add_row(Text("•", style), Text(sentence, style))
    return Group(Text(title, "bold"), lines)
