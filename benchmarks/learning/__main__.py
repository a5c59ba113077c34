"""`python -m benchmarks.learning floors --data DIR`: rows of docs/replay.md."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Annotated, get_args

import numpy as np
import typer

from benchmarks.learning.ceilings import (
    SEEDS,
    ceiling_line,
    read_published,
    reader_of,
    runs_at,
)
from benchmarks.learning.drift import FOLLOWED, drifted
from benchmarks.learning.floors import REQUESTS, FloorRun, PriorsKind, Setting, runs
from benchmarks.learning.options import (
    Data,
    First,
    OnTuning,
    Orders,
    Requests,
    counted,
    folder_of,
    priors_kind,
    read_or_fail,
    recorded,
    traced,
)
from benchmarks.learning.runs_file import RunsFile, label, line_of, runs_of
from benchmarks.learning.scenarios import SCENARIOS, outcomes
from benchmarks.learning.sentences import floor_line, scenario_line, tokens_line, versus_line
from benchmarks.learning.sets import SETS, TRACES
from benchmarks.learning.summary import table
from benchmarks.learning.tokens import (
    API_CALLS,
    LEARNED,
    calls_of,
    error_of_half,
    forecast_error,
    halves,
    read_calls,
    realised_cost,
)
from benchmarks.learning.versus import versus

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

AUDITS = 0.2, 0.05


@app.callback()
def main() -> None:
    """How well plans learn, on recorded outcomes."""


@app.command()
def floors(  # noqa: PLR0913 - the options of a command
    floor: Annotated[list[float] | None, typer.Option(help="Once for each.")] = None,
    audit: Annotated[list[float] | None, typer.Option(help="Audit rates, once for each.")] = None,
    priors: Annotated[list[str] | None, typer.Option(help="equal, fair or both.")] = None,
    of_set: Annotated[str, typer.Option("--set", help=f"One of {', '.join(SETS)}.")] = "mmlu_pro",
    trace: Annotated[
        str, typer.Option(help="Arrivals of conv or code; at random, unless given.")
    ] = "",
    orders: Orders = 8,
    first: First = 0,
    requests: Requests = REQUESTS,
    on_tuning: OnTuning = False,
    as_json: Annotated[bool, typer.Option("--json", help="A line for each run.")] = False,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Adds a JSON line for each run that is not there yet."),
    ] = None,
    data: Data = None,
) -> None:
    """Whether floors hold on recorded outcomes, and what that costs against hindsight."""
    if of_set not in SETS or trace not in ("", *TRACES):
        raise typer.BadParameter(f"sets: {', '.join(SETS)}; traces: {', '.join(TRACES)}")
    recording, prices = recorded(data, of_set, on_tuning=on_tuning)
    arrivals = traced(data, trace) if trace else None
    of = label(of_set, trace, requests, REQUESTS, on_tuning=on_tuning)
    file = None if into is None else RunsFile(into, of)
    settings = [
        Setting(priors_kind(kind), of_floor, rate)
        for kind in priors or get_args(PriorsKind)
        for rate in audit or AUDITS
        for of_floor in floor or SETS[of_set].floors
    ]
    for number, setting in enumerate(settings, 1):
        each = range(first, first + orders)
        found: list[FloorRun] = []
        wanted = each if file is None else file.missing(setting, each)
        for run in runs(
            recording, prices, setting, orders=wanted, requests=requests, arrivals=arrivals
        ):
            found.append(run)
            if file is not None:
                file.add(setting, run)
            if as_json:
                print(line_of(of, setting, run), flush=True)
            row = f"row {number} of {len(settings)}: {setting}"
            print(f"\r{row}: {len(found)} of {len(wanted)} ", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        if found and not as_json:
            print(floor_line(setting, found, requests), flush=True)


@app.command()
def summary(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Of floors --into, or --json.")
    ],
) -> None:
    """A table of runs of floors with 95 % intervals, and which targets are met, in Markdown."""
    lines = [line for file in files for line in file.read_text().splitlines()]
    for row in table(runs_of(lines)):
        print(row)


@app.command()
def scenarios(
    name: Annotated[list[str] | None, typer.Option(help="Once for each; all, else.")] = None,
    orders: Orders = 5,
    first: First = 0,
    requests: Requests = REQUESTS,
    on_tuning: OnTuning = False,
    data: Data = None,
) -> None:
    """What befalls a service on mmlu_pro: too little capacity or money, prices, models, bursts."""
    unknown = set(name or ()) - set(SCENARIOS)
    if unknown:
        raise typer.BadParameter(f"there are {', '.join(SCENARIOS)}", param_hint="--name")
    recording, prices = recorded(data, on_tuning=on_tuning)
    for each in name or SCENARIOS:
        found = list(
            outcomes(
                recording,
                prices,
                SCENARIOS[each],
                orders=range(first, first + orders),
                requests=requests,
            )
        )
        print(scenario_line(each, found), flush=True)


@app.command()
def rivals(  # noqa: PLR0913 - the options of a command
    floor: Annotated[list[float] | None, typer.Option(help="Once for each.")] = None,
    audit: Annotated[float, typer.Option(help="The audit rate.")] = 0.2,
    orders: Orders = 5,
    first: First = 0,
    requests: Requests = REQUESTS,
    on_tuning: OnTuning = False,
    data: Data = None,
) -> None:
    """Turnout with fair priors beside Thompson sampling with a price, and beside hindsight."""
    recording, prices = recorded(data, on_tuning=on_tuning)
    for of_floor in floor or SETS["mmlu_pro"].floors:
        found = list(
            versus(
                recording,
                prices,
                Setting("fair", of_floor, audit),
                orders=range(first, first + orders),
                requests=requests,
            )
        )
        print(versus_line(of_floor, found), flush=True)


@app.command()
def ceilings(
    ceiling: Annotated[
        list[int] | None, typer.Option(min=1, max=7, help="By its number, once for each.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="How many, from the first on.")] = SEEDS,
    first: Annotated[int, typer.Option(help="The first seed.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="A line for each run.")] = False,
    data: Data = None,
) -> None:
    """The most accuracy under a ceiling of cost, on paretobandit_k3 by its authors' protocol."""
    folder = folder_of(data)
    recording, _ = read_or_fail(folder, "paretobandit_k3")
    learned = reader_of(recording)
    each = read_published(folder / SETS["paretobandit_k3"].folder / "published.csv")
    for number in ceiling or range(1, len(each) + 1):
        published, found = each[number - 1], []
        for run in runs_at(
            recording, learned, published.ceiling_usd, seeds=range(first, first + seeds)
        ):
            found.append(run)
            if as_json:
                print(json.dumps(asdict(run)), flush=True)
            row = f"ceiling {number}: {len(found)} of {seeds} "
            print(f"\r{row}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        if not as_json:
            print(ceiling_line(published, found), flush=True)


@app.command()
def drift(
    audit: Annotated[list[float] | None, typer.Option(help="Audit rates, once for each.")] = None,
    after_h: Annotated[float, typer.Option(min=0.01, help="Hours until it gets worse.")] = 24.0,
    orders: Orders = 5,
    first: First = 0,
    data: Data = None,
) -> None:
    """The model that carries most traffic gets 20 points worse: when plans make up for it."""
    recording, prices = recorded(data, on_tuning=False)
    for rate in audit or AUDITS:
        for found in drifted(
            recording,
            prices,
            rate,
            orders=range(first, first + orders),
            after_s=after_h * 3_600,
            on_window=counted,
        ):
            back = "never" if found.back_after is None else f"after {found.back_after:,} requests"
            print(
                f"\raudit {rate:g}, order {found.order}: {found.model} {found.drop:.2f} worse; "
                f"back on the floor {back}, {found.audits:,} audits of it; "
                f"{found.below:,} of {FOLLOWED:,} below the floor; {found.reachable:.4f} reachable",
                flush=True,
            )


@app.command()
def tokens(
    orders: Orders = 5,
    floor: Annotated[float, typer.Option(help="Of the mixes whose cost is compared.")] = 0.65,
    data: Data = None,
) -> None:
    """How far forecasts of output tokens are off, and what mixes cost that rest on them."""
    recording, prices = recorded(data, on_tuning=False)
    count = len(recording.requests.ids)
    for learned in LEARNED:
        found, costs = [], []
        for order in range(orders):
            taken, held = halves(count, order)
            taken = taken[: min(learned, taken.size)]
            asked = np.random.default_rng(order).integers(len(recording.models), size=count)
            calls = calls_of(recording, taken, asked[: taken.size])
            every = np.repeat(held, len(recording.models))
            columns = np.tile(np.arange(len(recording.models)), held.size)
            found.append(forecast_error(calls, calls_of(recording, every, columns)))
            costs.append(realised_cost(recording, prices, calls, held, floor))
        print(f"mmlu_pro, {tokens_line(found)}; a mix at floor {floor:g} costs", end=" ")
        print(", ".join(f"{median(c[k] for c in costs):.3f} by {k}" for k in costs[0]), flush=True)
    calls = read_calls(folder_of(data) / API_CALLS)
    print(f"api_calls_2026, {tokens_line([error_of_half(calls, o) for o in range(orders)])}")


if __name__ == "__main__":
    app()
