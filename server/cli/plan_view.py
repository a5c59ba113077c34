"""A plan that a finance person can follow, in 80 columns and more."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from server.cli.figures import age, estimate, percent, rate
from server.cli.mix import mixes
from server.cli.terminal import plain_table
from server.money import usd
from turnout.v1 import admin_pb2 as pb

_NO_PLAN = (
    "There is no plan yet. Until the first window ends, each request goes to the cheapest model "
    "that is believed to hold its class's floor."
)
_NO_PAYER = "-"
_NOTHING = ("", "", "", "")
_MARGIN_MIN = 0.0005  # a per cent with one decimal would not show less


def plan_view(plan: pb.Plan, *, now_s: float) -> RenderableType:
    """What is not met first, then what the plan costs and why."""
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in _parts(plan, now_s)))


def no_plan_view() -> RenderableType:
    """What holds before the first window has ended."""
    return Text(_NO_PLAN)


def _parts(plan: pb.Plan, now_s: float) -> Iterator[RenderableType]:
    yield _head(plan, now_s)
    if plan.breaches:
        yield _sentences("Not met", [breach.text for breach in plan.breaches], "red")
    yield _cost(plan)
    yield _promises(plan.classes)
    if margins := list(_margins(plan.classes)):
        yield _sentences("Planned above the floor", margins, "")
    yield _mix(plan.cells)
    if plan.budgets:
        yield _budgets(plan.budgets)
    if unreported := list(_unreported(plan.budgets)):
        yield _sentences("Not reported yet", unreported, "")
    if plan.step_prices:
        yield _sentences("What a change would do", [p.text for p in plan.step_prices], "")


def _head(plan: pb.Plan, now_s: float) -> Text:
    age_s = max(0.0, now_s - plan.time.ToNanoseconds() / 1e9)
    head = Text.assemble((f"Plan {plan.id}", "bold"))
    head.append(
        f", {age(age_s)} old, every {plan.window_s:g} s; {_proven(plan.certificate)}", "dim"
    )
    if plan.failure:
        head.append(f"\nThe newest solve was not published: {plan.failure}", "yellow")
    return head


def _proven(certificate: pb.Certificate) -> str:
    """Two words of the wire are turned into what they mean for who reads the plan."""
    relaxed = certificate.relaxed
    gave_way = "" if relaxed in ("", "none") else f" once {relaxed} gave way"
    match certificate.stopped:
        case "":
            return f"proven cheapest{gave_way}"
        case "time":
            return f"the best found within the time of a window{gave_way}, not proven cheapest"
    return f"the best found{gave_way}, not proven cheapest"


def _cost(plan: pb.Plan) -> Text:
    cost, best = plan.cost_nano_usd_per_day, plan.best_model_cost_nano_usd_per_day
    text = Text.assemble("This mix costs ", (usd(cost), "bold"), " a day")
    if best > 0:
        text.append("; the most accurate model alone would cost ")
        text.append(usd(best), "bold").append(", ").append_text(_compared(cost / best - 1))
    return text.append(".")


def _compared(dearer_by: float) -> Text:
    """How the mix stands beside one model for all. What is cheaper than the mix lacks something."""
    if round(dearer_by, 3) == 0:  # what a per cent with one decimal shows
        return Text("the same")
    if dearer_by < 0:
        return Text.assemble("so the mix saves ", (percent(-dearer_by), "bold green"))
    lacks = "too little capacity, too slow, or below a floor"
    return Text(f"but would not keep every promise: {lacks}", "yellow")


def _promises(classes: Sequence[pb.PlanClass]) -> Table:
    table = plain_table("class", "promise", "at least>", "plan>", "seen>", "cost a day>")
    table.title = "Promises"
    # By name, so that who watches finds a class where it was.
    for found in sorted(classes, key=lambda each: (each.traffic_class, each.payer)):
        names = [Text(found.traffic_class, "bold"), Text(_rate(found), "dim")]
        if found.payer != _NO_PAYER:
            names.append(Text(f"paid by {found.payer}", "dim"))
        costs = [usd(found.cost_nano_usd_per_day)]
        for name, promise, cost in zip_longest(names, _promise_rows(found), costs):
            table.add_row(name, *(promise or _NOTHING), cost)
        table.add_section()
    return table


def _rate(found: pb.PlanClass) -> str:
    return f"{rate(found.requests_per_s)} a second"


def _margins(classes: Sequence[pb.PlanClass]) -> Iterator[str]:
    """Where few grades, or wrong answers before, ask for more than the floor."""
    for found in classes:
        if found.floor_basis == "audited" and found.required - found.floor >= _MARGIN_MIN:
            grades = f"{found.realised_accuracy.grades:,.0f} grades"
            doubt = f"{grades} do not show beyond doubt that {percent(found.floor)} holds"
            yield f"class {found.traffic_class} is planned for {percent(found.required)}: {doubt}"


def _promise_rows(found: pb.PlanClass) -> Iterator[tuple[str, str, str, Text]]:
    """What, at least, planned, seen."""
    floor = percent(found.floor) if found.floor else "-"
    yield "accuracy", floor, percent(found.accuracy), _seen_accuracy(found)
    if found.slo_fraction:
        seen = found.realised_within_slo
        style = "green" if seen >= found.slo_fraction else "red"
        wanted, planned = percent(found.slo_fraction), percent(found.within_slo)
        yield "in time", wanted, planned, Text(percent(seen), style)
    if found.shed or found.realised_shed:
        yield "turned away", "", percent(found.shed), Text(percent(found.realised_shed))


def _seen_accuracy(found: pb.PlanClass) -> Text:
    """Red only where the whole interval is below the floor: a mean alone proves nothing."""
    seen = found.realised_accuracy
    if found.floor_basis == "assumed":
        return Text("assumed: no grades", "yellow")
    if not seen.grades:
        return Text("no grades yet", "dim")
    style = "green" if seen.mean >= found.floor else "red" if seen.high < found.floor else "yellow"
    return Text(estimate(seen), style)


def _mix(cells: Sequence[pb.PlanCell]) -> Table:
    table = plain_table("class", "model", "share>", "", "accuracy>", "cost of 1,000>")
    table.title = "Mix"
    table.columns[3].ratio = 1  # the bar takes what is left of the width
    table.expand = True
    for traffic_class, found in sorted(mixes(cells).items()):
        for number, mix in enumerate(found):
            table.add_row(
                Text(traffic_class if number == 0 else "", "bold"),
                mix.model,
                percent(mix.share),
                Bar(1, 0, mix.share, color="green"),
                percent(mix.accuracy),
                usd(1_000 * mix.cost_nano_usd),
            )
        table.add_section()
    return table


def _budgets(budgets: Sequence[pb.PlanBudget]) -> Table:
    table = plain_table("budget", "spent>", "of", "pace a day>", "plan a day>", "headroom a day>")
    table.title = "Budgets"
    for budget in budgets:
        headroom = usd(budget.pace_nano_usd_per_day - budget.cost_nano_usd_per_day)
        table.add_row(
            Text(budget.name, "bold"),
            usd(budget.spent_nano_usd),
            f"{usd(budget.amount_nano_usd)} a {budget.period}",
            usd(budget.pace_nano_usd_per_day),
            usd(budget.cost_nano_usd_per_day),
            Text("none: it binds", "yellow") if budget.binds else Text(headroom, "green"),
        )
    return table


def _unreported(budgets: Sequence[pb.PlanBudget]) -> Iterator[str]:
    """What callers have not told of is not part of what is spent."""
    for budget in budgets:
        if budget.unreported:
            decisions = f"{budget.unreported:,} decisions by Route this {budget.period}"
            cost = usd(budget.unreported_nano_usd)
            yield f"budget {budget.name}: no usage of {decisions}, expected to cost {cost}"


def _sentences(title: str, sentences: Sequence[str], style: str) -> Group:
    lines = Table.grid(padding=(0, 1))
    for sentence in sentences:
        lines.add_row(Text("•", style), Text(sentence, style))
    return Group(Text(title, "bold"), lines)
