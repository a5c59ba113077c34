"""`python -m benchmarks list`, `run NAME... [--toy] [--json]` and `results ROWS.json`."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from benchmarks.against import Refused, benchmark_against, theirs_at
from benchmarks.catalogue import BENCHMARKS, UnknownBenchmark, chosen, skipped_here
from benchmarks.harness import Benchmark, Measured, measured_from
from benchmarks.processes import ProcessFailed
from benchmarks.results import page
from benchmarks.service import ROUTE
from benchmarks.tables import (
    HOW_LONG,
    benchmarks_table,
    claims_table,
    duration,
    in_full,
    rows_table,
    summary_table,
    why_skipped,
)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="A list of benchmarks.")] = False,
) -> None:
    """What is measured, against what, what it is held to, and how long it takes."""
    if as_json:
        print(json.dumps([_listed(benchmark) for benchmark in BENCHMARKS.values()], indent=2))
        return
    print(in_full(claims_table(BENCHMARKS.values())))
    print(in_full(benchmarks_table(BENCHMARKS.values())))
    print(HOW_LONG)
    for line in why_skipped(skipped_here(BENCHMARKS.values())):
        print(f"Of a run here, {line}")


@app.command()
def run(  # noqa: PLR0913 - the options of a command
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...", show_default="all", help="Benchmarks, as `list` names them."
        ),
    ] = None,
    toy: Annotated[
        bool, typer.Option(help="Seconds, to see that it runs; measures nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A list of rows.")] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Route beside a plaintext gRPC server of yours, under the same load, in turn.",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(metavar="/SERVICE/METHOD", help="What yours is asked; unary.")
    ] = ROUTE.method,
    request: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="A message for yours, as protobuf bytes; the RouteRequest of ours if not given.",
        ),
    ] = None,
    pid: Annotated[
        list[int] | None,
        typer.Option(help="A process of yours, to compare CPU time too; once for each process."),
    ] = None,
) -> None:
    """Measures; progress goes to stderr."""
    if against is None:
        if method != ROUTE.method or request or pid:
            raise typer.BadParameter("--method, --request and --pid are about --against HOST:PORT")
        benchmarks = _chosen(names)
    elif set(names or ()) - {"route"}:
        raise typer.BadParameter("compares Route alone: no other NAME", param_hint="--against")
    else:
        message = request.read_bytes() if request else None
        benchmarks = [_against(against, method, message, pid or ())]
    try:
        rows = {
            each.name: list(each.run(toy)) for each in in_turn(benchmarks, toy=toy, said=sys.stderr)
        }
    except (ProcessFailed, Refused) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    _show(rows, toy=toy, as_json=as_json)


@app.command()
def results(
    rows: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="ROWS.json")],
) -> None:
    """RESULTS.md of the rows that a full `run --json` printed."""
    print(page([measured_from(row) for row in json.loads(rows.read_text())]), end="")


def _listed(benchmark: Benchmark) -> dict[str, Any]:
    """A limit that a claim does not have is null, and so is why it is skipped where it is not."""
    skipped = {row.name: row.skipped for row in skipped_here([benchmark])}
    return {
        "name": benchmark.name,
        "takes_s": round(benchmark.takes_s, 1),
        "rows": [
            {
                "name": claim.name,
                "subject": claim.subject,
                "floor": claim.floor,
                "unit": claim.unit,
                "ratio_max": _finite(claim.ratio_max),
                "subject_us_max": _finite(claim.subject_us_max),
                "skipped": skipped.get(claim.name),
            }
            for claim in benchmark.claims
        ],
    }


def _finite(limit: float) -> float | None:
    return limit if math.isfinite(limit) else None


def _chosen(names: Sequence[str] | None) -> list[Benchmark]:
    try:
        return chosen(names or ())
    except UnknownBenchmark as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None


def _against(address: str, method: str, request: bytes | None, pids: Sequence[int]) -> Benchmark:
    try:
        return benchmark_against(theirs_at(address, method, request, pids))
    except Refused as error:
        raise typer.BadParameter(str(error)) from None


def in_turn(benchmarks: Sequence[Benchmark], *, toy: bool, said: IO[str]) -> Iterator[Benchmark]:
    """Each, after a line about how far we are and how long it takes."""
    left_s = sum(each.takes_s for each in benchmarks)
    if not toy:
        print(f"{duration(left_s)} in all. {HOW_LONG}", file=said)
    for line in why_skipped(skipped_here(benchmarks)):
        print(f"Of these, {line}", file=said)
    for number, benchmark in enumerate(benchmarks, 1):
        takes = "" if toy else f": about {duration(benchmark.takes_s)} of {duration(left_s)} left"
        print(f"{benchmark.name}, {number} of {len(benchmarks)}{takes}", file=said)
        yield benchmark
        left_s -= benchmark.takes_s


def _show(rows: Mapping[str, Sequence[Measured]], *, toy: bool, as_json: bool) -> None:
    """With --json the rows alone are on stdout, and how it ended on stderr."""
    measured = [row for those in rows.values() for row in those]
    aside = sys.stderr if as_json else sys.stdout
    if as_json:
        print(json.dumps([asdict(row) for row in measured], indent=2))
    else:
        print(in_full(rows_table(measured, toy=toy)))
    ended = "A toy run measures nothing: no verdicts." if toy else in_full(summary_table(rows))
    print(ended, file=aside)
    for line in why_skipped(measured):
        print(line, file=aside)


if __name__ == "__main__":
    app()
