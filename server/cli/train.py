"""`turnout train`: from labelled text to a classifier, and what it is worth."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from server.cli.terminal import AsJson, console, fail
from server.cli.train_view import report_view
from server.control.kept_file import write_whole

if TYPE_CHECKING:  # scipy takes 0.4 s to import, which other commands need not wait for
    from server.training.report import Report


def train(  # noqa: PLR0913 - a parameter is an option
    data: Annotated[
        Path | None,
        typer.Argument(show_default=False, help="Labelled text: .csv or .jsonl, or either .gz."),
    ] = None,
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the classifier.")],
    from_reports: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="A state folder: texts that were kept there and labelled since."
        ),
    ] = None,
    domains: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The domain of each label: a table of label and domain."),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge it by these texts too; none is learned from."),
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where the text is: text or prompt, else.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The intent: label or intent, else.")
    ] = None,
    domain_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The domain: domain or subject, else.")
    ] = None,
    refuse: Annotated[
        float, typer.Option(min=0, max=0.5, help="The part of known text that may become other.")
    ] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Of how the texts are parted.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Learn domains and intents from labelled text, and judge the result by text it never saw."""
    from server.routing.learned_classifier.file_format import ClassifierInvalid
    from server.training.examples import Columns, read_domains, read_examples
    from server.training.records import DataInvalid
    from server.training.reports import reported_examples
    from server.training.solver import SolverMissing
    from server.training.train import STEPS, judge
    from server.training.train import train as learn

    if data is None and from_reports is None:
        raise typer.BadParameter("give labelled text, --from-reports, or both", param_hint="DATA")
    columns = Columns(text_column, label_column, domain_column)
    try:
        domain_of = None if domains is None else read_domains(domains)
        examples = [] if data is None else read_examples(data, columns, domain_of)
        left_out = 0
        if from_reports is not None:
            reported, left_out = reported_examples(from_reports, examples)
            examples += reported
        tests = [] if test is None else read_examples(test, columns, domain_of)
        with _progress(STEPS) as step:
            trained = learn(examples, seed=seed, refused=refuse, on_step=step)
        reports = {"held_out": trained.report}
        if tests:
            reports["test"] = judge(trained.contents, tests)
        _write(out, trained.to_bytes())
    except (DataInvalid, SolverMissing, ClassifierInvalid) as error:
        fail(str(error))
    _show(out, reports, left_out, as_json=as_json)


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr; gives what to call after each step."""
    columns = TextColumn("learning"), BarColumn(), TextColumn("{task.completed} of {task.total}")
    with Progress(*columns, TimeElapsedColumn(), console=console(stderr=True)) as bar:
        task = bar.add_task("learning", total=steps)
        yield lambda: bar.advance(task)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: a service may be reading it, another user's too."""
    try:
        write_whole(path, data, mode=0o666)  # less what the umask takes, as of any other file
    except OSError as error:
        fail(f"{path}: it cannot be written: {error.strerror}")


def _show(out: Path, reports: "dict[str, Report]", left_out: int, *, as_json: bool) -> None:
    """`left_out` counts texts that were labelled and not learned from."""
    if as_json:
        told = {name: asdict(report) for name, report in reports.items()}
        about = {"file": str(out), "reported_left_out": left_out}
        print(json.dumps(about | told, indent=2, ensure_ascii=False))
        return
    if left_out:
        why = "their labels say too little, name nothing, or put an intent in two domains"
        console().print(f"reported texts left out: {left_out:,} ({why})", soft_wrap=True)
    titles = {"held_out": "Text that was held out", "test": "The text of --test"}
    for name, report in reports.items():
        console().print(report_view(titles[name], report))
    size_bytes = out.stat().st_size
    done = Text.assemble(f"{out}: ", ("written", "bold green"), f", {size_bytes:,} bytes")
    console().print(done, soft_wrap=True)
