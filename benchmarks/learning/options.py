"""Options that commands share, and what they read: a folder that is not there is told."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn, get_args

import typer

from benchmarks.learning.floors import PriorsKind
from benchmarks.learning.sets import TRACES, read_set
from server.config.models import PriceConfig
from server.replay.log_files import LogInvalid, read_arrivals
from server.replay.recording import Floats, Recording, held_out, tuning

Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The folder of recorded data; TURNOUT_DATA, unless given."),
]
Orders = Annotated[int, typer.Option(help="How many, from the first on.")]
First = Annotated[int, typer.Option(help="The first order's seed.")]
Requests = Annotated[int, typer.Option(help="Of one run; its second half counts.")]
OnTuning = Annotated[
    bool, typer.Option("--on-tuning", help="On the third that settings are tuned on.")
]


def counted(served: int) -> None:
    """So that somebody who waits for an hour sees that it goes on."""
    print(f"\r{served:,} requests ", end="", file=sys.stderr, flush=True)


def traced(data: Path | None, name: str) -> Floats:
    try:
        return read_arrivals(folder_of(data) / TRACES[name])
    except LogInvalid as error:
        fail(str(error))


def recorded(
    data: Path | None, name: str = "mmlu_pro", *, on_tuning: bool
) -> tuple[Recording, Mapping[str, PriceConfig]]:
    whole, prices = read_or_fail(folder_of(data), name)
    return (tuning(whole) if on_tuning else held_out(whole)), prices


def read_or_fail(folder: Path, name: str) -> tuple[Recording, Mapping[str, PriceConfig]]:
    try:
        return read_set(folder, name)
    except LogInvalid as error:
        fail(str(error))


def priors_kind(name: str) -> PriorsKind:
    for kind in get_args(PriorsKind):
        if name == kind:
            found: PriorsKind = kind
            return found
    raise typer.BadParameter(f"{name!r}: it is equal or fair", param_hint="--priors")


def folder_of(data: Path | None) -> Path:
    named = data or (Path(os.environ["TURNOUT_DATA"]) if "TURNOUT_DATA" in os.environ else None)
    if named is None:
        fail("there is no recorded data: set TURNOUT_DATA to its folder, or give --data DIR")
    return named


def fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(1)
