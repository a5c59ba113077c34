"""`python -m benchmarks.learning floors --data DIR`: rows of docs/replay.md."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Annotated, NoReturn, get_args

import numpy as np
import typer

from benchmarks.learning.floors import REQUESTS, FloorRun, PriorsKind, Setting, runs
from benchmarks.learning.sets import MMLU_PRO, read_set
from server.replay.log_files import LogInvalid
from server.replay.recording import held_out, tuning

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The folder of recorded data; TURNOUT_DATA, unless given."),
]


@app.callback()
def main() -> None:
    """How well plans learn, on recorded outcomes."""


@app.command()
def floors(  # noqa: PLR0913 - the options of a command
    floor: Annotated[list[float] | None, typer.Option(help="Once for each.")] = None,
    audit: Annotated[list[float] | None, typer.Option(help="Audit rates, once for each.")] = None,
    priors: Annotated[list[str] | None, typer.Option(help="equal, fair or both.")] = None,
    orders: Annotated[int, typer.Option(help="How many, from the first on.")] = 8,
    first: Annotated[int, typer.Option(help="The first order's seed.")] = 0,
    requests: Annotated[int, typer.Option(help="Of one run; its second half counts.")] = REQUESTS,
    on_tuning: Annotated[
        bool, typer.Option("--on-tuning", help="On the third that settings are tuned on.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A line for each run.")] = False,
    data: Data = None,
) -> None:
    """Whether floors hold on mmlu_pro, and what that costs against hindsight."""
    try:
        whole, prices = read_set(_folder(data), MMLU_PRO)
    except LogInvalid as error:
        _fail(str(error))
    recording = tuning(whole) if on_tuning else held_out(whole)
    for setting in (
        Setting(_kind(kind), of_floor, rate)
        for kind in priors or get_args(PriorsKind)
        for rate in audit or (0.2, 0.05)
        for of_floor in floor or (0.60, 0.65, 0.68)
    ):
        found: list[FloorRun] = []
        for run in runs(
            recording, prices, setting, orders=range(first, first + orders), requests=requests
        ):
            found.append(run)
            if as_json:
                print(json.dumps(asdict(setting) | asdict(run)), flush=True)
            print(f"\r{setting}: {len(found)} of {orders} ", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        if not as_json:
            print(_line(setting, found, requests), flush=True)


def _line(setting: Setting, found: list[FloorRun], requests: int) -> str:
    misses = sum(run.is_miss(setting.floor) for run in found)
    costs = [run.cost_ratio for run in found]
    took_s = sum(run.took_s for run in found)
    return (
        f"{setting.priors} priors, audit {setting.audit_rate:g}, floor {setting.floor:g}: "
        f"missed {misses} of {len(found)}; accuracy {median(r.accuracy for r in found):.4f} "
        f"(realised {median(r.realised for r in found):.4f}, least "
        f"{min(r.accuracy for r in found):.4f}, of {median(r.reachable for r in found):.4f}); "
        f"cost {median(costs):.3f} (90 %: {np.quantile(costs, 0.9):.3f}, most {max(costs):.2f}); "
        f"probes {median(r.probes for r in found):.1%}; "
        f"said short in {median(r.named_short for r in found):.0%} of windows; "
        f"{requests * len(found) / took_s:,.0f} requests a second"
    )


def _kind(name: str) -> PriorsKind:
    for kind in get_args(PriorsKind):
        if name == kind:
            found: PriorsKind = kind
            return found
    raise typer.BadParameter(f"{name!r}: it is equal or fair", param_hint="--priors")


def _folder(data: Path | None) -> Path:
    named = data or (Path(os.environ["TURNOUT_DATA"]) if "TURNOUT_DATA" in os.environ else None)
    if named is None:
        _fail("there is no recorded data: set TURNOUT_DATA to its folder, or give --data DIR")
    return named


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
