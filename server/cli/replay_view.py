"""What a replay came to, as tables."""

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from server.cli.figures import percent
from server.cli.terminal import plain_table
from server.money import usd

if TYPE_CHECKING:  # scipy takes 0.4 s to import, which other commands need not wait for
    from server.replay.figures import ClassFigures
    from server.replay.report import Report, Stretch

# Of the models that answered, those that are shown of each class.
_MODELS_MAX = 6


def report_view(report: "Report") -> RenderableType:
    """Each stretch with its classes, then who answered, then how it went over time."""
    parts: list[RenderableType] = [_head(report), ""]
    for stretch in report.stretches:
        parts += [Text(_title(stretch), "bold"), _classes(stretch), ""]
    parts += [Text("Who answered, in the last of these", "bold"), _models(report.stretches[-1]), ""]
    return Group(*parts, Text("Over time", "bold"), _over_time(report))


def _head(report: "Report") -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("requests", f"{report.requests:,} in {report.lasted_s:,.0f} s")
    failed = f", {report.windows_failed} without a plan" if report.windows_failed else ""
    table.add_row("windows", f"{report.windows:,}{failed}")
    table.add_row("grades", f"{report.grades:,}")
    if report.guessed:
        table.add_row("unseen outcomes", f"{percent(report.guessed)}: accuracy is an estimate")
    return table


def _title(stretch: "Stretch") -> str:
    of = "" if stretch.name == "whole" else f", the {stretch.name} of it"
    return f"{stretch.begin_s:,.0f} s to {stretch.end_s:,.0f} s{of}"


def _classes(stretch: "Stretch") -> Table:
    table = plain_table(
        "class",
        "answered>",
        "floor>",
        "accuracy>",
        "best possible>",
        "a request>",
        "over hindsight>",
        "cheapest alone",
        "it costs>",
    )
    for one in stretch.classes:
        table.add_row(*_class(one))
    return table


def _class(one: "ClassFigures") -> tuple[str, ...]:
    ratio = one.cost_ratio
    single = one.cheapest_single_nano_usd
    return (
        one.traffic_class,
        percent(one.answered / max(one.requests, 1)),
        "-" if one.floor is None else percent(one.floor),
        percent(one.accuracy),
        percent(one.best_accuracy),
        usd(one.cost_nano_usd),
        "-" if ratio is None else f"{ratio:.2f} x",
        one.cheapest_single or "none holds",
        "-" if single is None else usd(single),
    )


def _models(stretch: "Stretch") -> Table:
    table = plain_table("class", "model", "of answers>")
    for one in stretch.classes:
        for model, count in list(one.by_model.items())[:_MODELS_MAX]:
            table.add_row(one.traffic_class, model, percent(count / max(one.answered, 1)))
    return table


def _over_time(report: "Report") -> Table:
    table = plain_table("from>", "class", "requests>", "answered>", "accuracy>", "a request>")
    for stretch in report.slices:
        for one in stretch.classes:
            table.add_row(
                f"{stretch.begin_s:,.0f} s",
                one.traffic_class,
                f"{one.requests:,}",
                percent(one.answered / max(one.requests, 1)),
                percent(one.accuracy),
                usd(one.cost_nano_usd),
            )
    return table
