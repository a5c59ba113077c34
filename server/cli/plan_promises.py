"""What each class was promised, beside what the plan expects and what was seen."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from rich.table import Table
from rich.text import Text

from server.cli.figures import counted, estimate, percent, rate
from server.cli.terminal import plain_table
from server.money import usd
from server.routing.catalog import payer_text
from turnout.v1 import admin_pb2 as pb

_NOTHING = ("", "", "", "")


def was_late(found: pb.PlanClass) -> bool:
    """Whether more were late in the last hour than the class is promised."""
    return bool(found.realised_requests) and found.realised_within_slo < found.slo_fraction


def was_worse(found: pb.PlanClass) -> bool:
    """Where the whole interval is below the floor: a mean alone proves nothing."""
    seen = found.realised_accuracy
    return found.floor_basis != "assumed" and bool(seen.grades) and seen.high < found.floor


def promises(plan: pb.Plan) -> Table:
    """A row for each promise of each class and payer."""
    table = plain_table("class", "promise", "at least>", "plan>", "seen>", "cost an hour>")
    table.title = "Promises"
    # By name, so that who watches finds a class where it was.
    for found in sorted(plan.classes, key=lambda each: (each.traffic_class, each.payer)):
        names = [Text(found.traffic_class, "bold"), Text(_rate(found), "dim")]
        names.append(Text(f"paid by {payer_text(found.payer)}", "dim"))
        rows = list(_promise_rows(found))
        if found.domain_floor:
            rows.insert(1, _of_domains(found, plan.cells))
        costs = [usd(found.cost_nano_usd_per_hour)]
        for name, promise, cost in zip_longest(names, rows, costs):
            table.add_row(name, *(promise or _NOTHING), cost)
        table.add_section()
    return table


def _rate(found: pb.PlanClass) -> str:
    return f"{counted(rate(found.requests_per_hour), 'request')} an hour"


def _promise_rows(found: pb.PlanClass) -> Iterator[tuple[str, str, str, Text]]:
    """What, at least, planned, seen."""
    floor = percent(found.floor) if found.floor else "-"
    yield "accuracy", floor, percent(found.accuracy), _seen_accuracy(found)
    if found.slo_fraction:
        seen, style = percent(found.realised_within_slo), "red" if was_late(found) else "green"
        wanted, planned = percent(found.slo_fraction), percent(found.within_slo)
        told = Text(seen, style) if found.realised_requests else _unseen(found)
        yield "in time", wanted, planned, told
    if found.shed or found.realised_shed:
        yield "turned away", "", percent(found.shed), Text(percent(found.realised_shed))


def _of_domains(found: pb.PlanClass, cells: Sequence[pb.PlanCell]) -> tuple[str, str, str, Text]:
    """Of all domains the one that is right least often."""
    planned = _by_domain(found, cells)
    worst = min(planned, key=lambda domain: planned[domain], default="")
    text = f"{percent(planned[worst])} {worst}" if worst else "-"
    return "each domain", percent(found.domain_floor), text, Text("")


def _by_domain(found: pb.PlanClass, cells: Sequence[pb.PlanCell]) -> Mapping[str, float]:
    """The accuracy of what is served, in means over requests."""
    right, served = defaultdict[str, float](float), defaultdict[str, float](float)
    for one in cells:
        if (one.cell.traffic_class, one.cell.payer) == (found.traffic_class, found.payer):
            for part in one.shares:
                requests = one.requests_per_s * part.share
                right[one.cell.domain] += requests * part.accuracy
                served[one.cell.domain] += requests
    return {domain: right[domain] / total for domain, total in served.items() if total}


def _unseen(found: pb.PlanClass) -> Text:
    """Of requests whose end nobody told, none is known to be late; and yet nobody has seen it."""
    return Text("not reported yet" if found.requests_per_hour else "no requests", "dim")


def _seen_accuracy(found: pb.PlanClass) -> Text:
    """Green, yellow or red: kept, perhaps missed, or missed."""
    seen = found.realised_accuracy
    if found.floor_basis == "assumed":
        return Text("assumed: no grades", "yellow")
    if not seen.grades:
        return Text("no grades yet", "dim")
    style = "red" if was_worse(found) else "green" if seen.mean >= found.floor else "yellow"
    return Text(estimate(seen), style)
