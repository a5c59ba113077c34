"""What a trained classifier is worth, as tables."""

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from server.cli.figures import percent
from server.cli.terminal import plain_table

if TYPE_CHECKING:  # scipy takes 0.4 s to import, which other commands need not wait for
    from server.training.report import Refusal, Report


def report_view(title: str, report: "Report") -> RenderableType:
    """Accuracy, calibration, what the threshold does, and the worst confusions."""
    return Group(
        Text(title, "bold"),
        _head(report),
        "",
        _refusals(report),
        "",
        _calibration(report),
        "",
        _confused(report),
        "",
    )


def _head(report: "Report") -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("texts", f"{report.inside:,} inside, {report.outside:,} out of scope")
    for name, accuracy in (("domain", report.domain_accuracy), ("intent", report.intent_accuracy)):
        if accuracy is not None:
            table.add_row(f"{name} right", percent(accuracy))
    table.add_row("calibration error", percent(report.calibration_error))
    return table


def _refusals(report: "Report") -> Table:
    table = plain_table("other below>", "inside refused>", "out of scope refused>", "right>", "")
    for refusal in report.curve:
        table.add_row(*_refusal(refusal), "")
    table.add_row(*_refusal(report.stored), "as stored", style="bold")
    return table


def _refusal(refusal: "Refusal") -> tuple[str, ...]:
    parts = (refusal.inside_refused, refusal.outside_refused)
    refused = ("-" if part is None else percent(part) for part in parts)
    return f"{refusal.threshold:.3f}", *refused, percent(refusal.right)


def _calibration(report: "Report") -> Table:
    table = plain_table("probability>", "texts>", "mean>", "were right>")
    for one in report.calibration:
        below = one.probability_from + 0.1
        table.add_row(
            f"{one.probability_from:.1f} to {below:.1f}",
            f"{one.texts:,}",
            percent(one.probability),
            percent(one.right),
        )
    return table


def _confused(report: "Report") -> Table:
    table = plain_table("was", "taken for", "texts>")
    for one in report.confused:
        table.add_row(one.truth, one.guess, f"{one.texts:,}")
    return table
