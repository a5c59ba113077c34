"""What people are shown: what there is, what was measured, and how it ended."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.harness import Benchmark, Measured, Skipped

VERDICTS = ("met", "missed", "undecided", "skipped")
_MINUTE_S = 60.0
# Below this, minutes would say too little.
_SECONDS_MAX = 90.0

HOW_LONG = "Times are calculated from how much is sent at which rate, not measured."


# Nothing here is as wide.
_WIDTH = 400


def in_full(table: Table) -> str:
    """The table as text: no cell is cut, however narrow the terminal is."""
    console = Console(width=_WIDTH)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def duration(seconds: float) -> str:
    """As people say it."""
    if seconds < _SECONDS_MAX:
        return f"{math.ceil(seconds)} s"
    return f"{round(seconds / _MINUTE_S)} min"


def benchmarks_table(benchmarks: Iterable[Benchmark]) -> Table:
    """What can be run, and how long each takes."""
    benchmarks = list(benchmarks)
    table = Table(box=SIMPLE_HEAD, show_footer=True)
    table.add_column("benchmark", "all", no_wrap=True)
    table.add_column("rows", str(sum(len(each.claims) for each in benchmarks)), justify="right")
    total_s = sum(each.takes_s for each in benchmarks)
    table.add_column("takes about", duration(total_s), justify="right")
    for each in benchmarks:
        table.add_row(each.name, str(len(each.claims)), duration(each.takes_s))
    return table


def claims_table(benchmarks: Iterable[Benchmark]) -> Table:
    """Every row, its name in full however narrow the terminal is."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("row", "subject", "floor", "at most"):
        table.add_column(name, no_wrap=True)
    for benchmark in benchmarks:
        for claim in benchmark.claims:
            table.add_row(claim.name, claim.subject, claim.floor, claim.limits)
    return table


def rows_table(rows: Sequence[Measured], *, toy: bool) -> Table:
    """What was measured. A toy run measures nothing, so it has no verdicts."""
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("name", overflow="fold")
    for name in ("x floor", "95 %", "subject", "floor"):
        table.add_column(name, justify="right")
    table.add_column("")
    if not toy:
        table.add_column("target", justify="right")
        table.add_column("verdict")
    for row in rows:
        table.add_row(*_cells(row, toy=toy))
    return table


def _cells(row: Measured, *, toy: bool) -> Sequence[str]:
    if isinstance(row, Skipped):
        cells, verdict = (row.name, "", "", "", "", ""), ("", row.verdict)
        return (*cells[:-1], "skipped") if toy else (*cells, *verdict)
    cells = (
        row.name,
        f"{row.ratio:.2f}",
        f"{row.ratio_low:.2f} to {row.ratio_high:.2f}",
        f"{row.subject_us:,.2f}",
        f"{row.floor_us:,.2f}",
        row.unit,
    )
    return cells if toy else (*cells, f"{row.target:.2f}", row.verdict)


def summary_table(rows: Mapping[str, Sequence[Measured]]) -> Table:
    """How many rows of each benchmark ended how."""
    table = Table(box=SIMPLE_HEAD, show_footer=True)
    counts = {name: Counter(row.verdict for row in measured) for name, measured in rows.items()}
    total = sum(counts.values(), Counter[str]())
    table.add_column("benchmark", "all", no_wrap=True)
    for verdict in VERDICTS:
        table.add_column(verdict, str(total[verdict]), justify="right")
    for name, count in counts.items():
        table.add_row(name, *(str(count[verdict]) for verdict in VERDICTS))
    return table


def why_skipped(rows: Iterable[Measured]) -> list[str]:
    """What to say for each reason, with how many rows it takes."""
    reasons = Counter(row.skipped for row in rows if isinstance(row, Skipped))
    return [
        f"{count} {'row is' if count == 1 else 'rows are'} skipped: {reason}"
        for reason, count in reasons.items()
    ]
