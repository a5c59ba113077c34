"""`python -m benchmarks list`, `run NAME... [--toy] [--json]` and `results ROWS.json`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.catalogue import BENCHMARKS, UnknownBenchmark, chosen
from benchmarks.harness import Row
from benchmarks.processes import ProcessFailed
from benchmarks.results import page

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command("list")
def list_() -> None:
    """What is measured, against what, and what it is held to."""
    table = Table("name", "row", "subject", "floor", "at most", box=SIMPLE_HEAD)
    for benchmark in BENCHMARKS.values():
        for claim in benchmark.claims:
            table.add_row(benchmark.name, claim.name, claim.subject, claim.floor, claim.limits)
    Console().print(table)


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", show_default="all")
    ] = None,
    toy: Annotated[
        bool, typer.Option(help="Seconds, to see that it runs; measures nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A list of rows.")] = False,
) -> None:
    """Measures; progress goes to stderr."""
    try:
        benchmarks = chosen(names or ())
    except UnknownBenchmark as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None
    try:
        rows = [row for benchmark in benchmarks for row in benchmark.run(toy)]
    except ProcessFailed as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        Console().print(_table(rows))


@app.command()
def results(rows: Annotated[typer.FileText, typer.Argument(metavar="ROWS.json")]) -> None:
    """RESULTS.md of the rows that a full `run --json` printed."""
    print(page([Row(**row) for row in json.load(rows)]), end="")


def _table(rows: Sequence[Row]) -> Table:
    """Fits a terminal of 80 columns; `list` names the floors."""
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("name", overflow="fold")
    for name in ("x floor", "95 %", "subject", "floor"):
        table.add_column(name, justify="right")
    table.add_column("")
    table.add_column("target", justify="right")
    table.add_column("verdict")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.ratio:.2f}",
            f"{row.ratio_low:.2f} to {row.ratio_high:.2f}",
            f"{row.subject_us:,.2f}",
            f"{row.floor_us:,.2f}",
            row.unit,
            f"{row.target:.2f}",
            row.verdict,
        )
    return table


if __name__ == "__main__":
    app()
