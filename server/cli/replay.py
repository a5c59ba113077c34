"""`turnout replay`: what a configuration would have done with requests that were recorded."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from server.cli.replay_view import report_view
from server.cli.terminal import AsJson, console, fail, load_or_fail
from server.control.kept_file import write_whole

if TYPE_CHECKING:  # scipy takes 0.4 s to import, which other commands need not wait for
    from server.replay.report import Report


def replay(  # noqa: PLR0913 - a parameter is an option
    config: Annotated[Path, typer.Argument(help="The configuration; see docs/configuration.md.")],
    log: Annotated[
        Path,
        typer.Argument(
            help="A folder of queries.csv and outcomes.csv, or an access log; see docs/replay.md."
        ),
    ],
    *,
    requests: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many; each of the log once, unless given.", show_default=False
        ),
    ] = None,
    per_s: Annotated[
        float, typer.Option(min=0.001, help="Requests a second where the log has no arrival_s.")
    ] = 20.0,
    arrivals: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Arrivals instead of the log's: a table of arrival_s."),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'SECONDS MODEL WHAT'",
            help="What befalls a model: gone, back, joins, price=FACTOR, as=MODEL; once for each.",
        ),
    ] = None,
    burst: Annotated[
        list[str] | None,
        typer.Option(metavar="'SECONDS LENGTH FACTOR'", help="So many times as much for a while."),
    ] = None,
    graded: Annotated[
        float, typer.Option(min=0, max=1, help="The part of audited answers that is graded.")
    ] = 1.0,
    grade_after_s: Annotated[
        float, typer.Option(min=0, help="How long a grade takes, in seconds.")
    ] = 0.0,
    wrong_passed: Annotated[
        float, typer.Option(min=0, max=1, help="The part of wrong answers that is graded as right.")
    ] = 0.0,
    wrong_unreported: Annotated[
        float, typer.Option(min=0, max=1, help="The part of wrong answers that nobody grades.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of order, arrivals and audits.")] = 0,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw accuracy and cost over time too, as SVG."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay recorded requests through a configuration, on a clock of its own.

    The router, the planner and its estimates are those of the service; answers are those that were
    recorded. The same seed tells the same story.
    """
    from server.replay.answers import ModelsMissing
    from server.replay.events import EventInvalid
    from server.replay.grading import Grading
    from server.replay.log_files import LogInvalid
    from server.replay.told import Wanted, told_of
    from server.routing.errors import RoutingError
    from server.routing.learned_classifier.file_format import ClassifierInvalid

    wanted = Wanted(
        requests=requests,
        per_s=per_s,
        arrivals=arrivals,
        events=tuple(event or ()),
        bursts=tuple(burst or ()),
        grading=Grading(graded, grade_after_s, wrong_passed, wrong_unreported),
        seed=seed,
    )
    loaded = load_or_fail(config)
    try:
        with _progress() as on_window:
            report = told_of(loaded, log, wanted, on_window)
    except (LogInvalid, ModelsMissing, EventInvalid, ClassifierInvalid, RoutingError) as error:
        fail(str(error))
    if plot is not None:
        _draw(report, plot)
    _show(report, as_json=as_json)


def _draw(report: "Report", path: Path) -> None:
    from server.replay.plot import svg

    try:
        write_whole(path, svg(report).encode(), mode=0o666)  # less what the umask takes
    except OSError as error:
        fail(f"{path}: it cannot be written: {error.strerror}")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr; gives what to tell how many of how many requests have come."""
    columns = TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("replaying", total=None)
        yield lambda served, total: bar.update(task, completed=served, total=total)


def _show(report: "Report", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(report), indent=2, ensure_ascii=False))
    else:
        console().print(report_view(report))
