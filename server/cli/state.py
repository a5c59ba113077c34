"""`turnout state`: what a service has learned and spent, as its file has it; and forgetting it."""

import contextlib
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from server.cli.figures import age, percent, rate
from server.cli.terminal import AsJson, console, fail, load_or_fail, plain_table
from server.config.diagnostics import ConfigError
from server.config.state_dir import state_dir
from server.control.kept_file import FileRefused, read_own
from server.control.state_file import FILE_NAME, STATE_BYTES_MAX, Kept, StateInvalid, unpacked
from server.money import usd

# The lists of a file, and what each entry is about.
_ENTRIES: tuple[tuple[str, str, str], ...] = (
    ("accuracy", "pairs", "grades, of a cell and a model"),
    ("usage", "rows", "tokens and time, of a cell and a model"),
    ("latency", "rows", "latency, of a model"),
    ("miss", "rows", "requests beyond the SLO, of a class and a model"),
    ("chains", "rows", "who answers, of a class and a first model"),
    ("demand", "rows", "requests, of a cell"),
    ("accounts", "rows", "floors' accounts, of a class and payer"),
    ("workers", "boots", "starts of workers"),
    ("outcomes", "rows", "decisions that were reported on"),
)

# Raised where what was read has another shape than what is written.
_NOT_OURS = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError)

_ELSE = "name another state_dir, or the configuration of the service with --config"

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="The service's configuration, which names its folder."
    ),
]

app = typer.Typer(
    help="What was learned and spent, which outlives the service: show it, forget it.",
    no_args_is_help=True,
)


@app.command(epilog="Example: [bold]turnout state show --config turnout.yaml[/]")
def show(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show what the file holds: at most a window old while the service runs."""
    path = _folder(config) / FILE_NAME
    kept = _read(path)
    if as_json:
        print(json.dumps({"written_s": kept.written_s, "version": kept.version} | kept.plain))
        return
    try:
        shown = view(kept, bytes_=path.stat().st_size, now_s=time.time())
    except _NOT_OURS:
        fail(f"{path}: it holds what we do not write; a start of the service would set it aside")
    console().print(shown)


@app.command(epilog="Example: [bold]turnout state reset --config turnout.yaml[/]")
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Forget all of it: estimates, accounts, demand, and what budgets have spent."""
    folder = _folder(config)
    with _held(folder):
        path = folder / FILE_NAME
        if not os.path.lexists(path):
            fail(f"nothing is kept in {folder}")
        if not yes:
            typer.confirm(f"Forget what was learned and spent ({path})?", abort=True, err=True)
        _remove(path)
    if as_json:
        print(json.dumps({"removed": str(path)}, ensure_ascii=False))
        return
    console().print(Text(f"{path} is removed: the next start learns anew"), soft_wrap=True)


def view(kept: Kept, *, bytes_: int, now_s: float) -> RenderableType:
    """When it was written, what it holds, and the figures that people ask for."""
    written = age(now_s - kept.written_s)
    head = f"Written {written} ago by Turnout {kept.version}, {bytes_ / 1_000:,.0f} KB"
    parts: list[RenderableType] = [Text(head), _entries(kept.plain), *_tables(kept.plain)]
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts))


def _entries(plain: Mapping[str, Any]) -> Table:
    table = plain_table("entries>", "of")
    for part, field, what in _ENTRIES:
        table.add_row(f"{len(plain[part][field]):,}", what)
    return table


def _tables(plain: Mapping[str, Any]) -> Iterator[Table]:
    if budgets := plain["spending"]["budgets"]:
        spent = plain_table("budget", "spent>")
        for name, one in sorted(budgets.items()):
            spent.add_row(name, usd(one["nano_usd"]))
        yield spent
    if models := plain["accuracy"]["models"]:
        graded = plain_table("model", "mean grade>")
        for name, (weight, _, quality) in sorted(models):
            graded.add_row(name, percent(quality / weight) if weight else "-")
        yield graded
    if requests := _requests(plain["demand"]):
        asked = plain_table("class", "requests a second>")
        for name, per_s in sorted(requests.items()):
            asked.add_row(name, rate(per_s))
        yield asked


def _requests(demand: Mapping[str, Any]) -> dict[str, float]:
    """Of each class."""
    found: dict[str, float] = {}
    for (traffic_class, *_), seen in demand["rows"]:
        found[traffic_class] = found.get(traffic_class, 0.0) + seen / demand["watched_s"]
    return found


def _folder(config_file: Path | None) -> Path:
    config = None if config_file is None else load_or_fail(config_file)
    try:
        folder = state_dir(config, os.environ)
        if not stat.S_ISDIR(folder.stat().st_mode):
            fail(f"the state folder {folder} is no folder: {_ELSE}")
    except ConfigError as error:
        fail(f"no state folder is known ({error}): name the configuration with --config")
    except FileNotFoundError:
        pass  # no service has ever run there
    except OSError as error:
        fail(f"the state folder {folder} cannot be looked into: {error.strerror}: {_ELSE}")
    return folder


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        fail(f"{path} cannot be removed: {error.strerror}: remove it as the user that serves")


def _read(path: Path) -> Kept:
    try:
        return unpacked(read_own(path, bytes_max=STATE_BYTES_MAX))
    except FileNotFoundError:
        fail(f"nothing is kept in {path.parent}: a service writes {path.name} once a window")
    except FileRefused as error:
        fail(str(error))
    except StateInvalid as error:
        fail(f"{path}: {error}; a start of the service would set it aside")


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """No service runs with the folder, and none starts meanwhile; else ends the command."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR)
    except FileNotFoundError:
        yield  # no service has ever run there
        return
    except OSError as error:
        fail(f"{folder / 'lock'} cannot be opened: {error.strerror}: ask as the user that serves")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        fail(f"a service runs with {folder} and would write it again: stop it first")
    finally:
        os.close(descriptor)
