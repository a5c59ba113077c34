"""`turnout classifier`: what the learned classifier sees, and another in its place."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from server.cli.admin import Admin, asks_admin, asks_admin_unless_subcommand
from server.cli.figures import percent
from server.cli.terminal import FAILED, AsJson, console, fail, json_of, plain_table
from turnout.v1 import admin_pb2 as pb

# It classifies up to 20,000 requests twice.
_COMPARISON_S = 60.0

app = typer.Typer(help="The learned classifier: what it sees, and another in its place.")


@app.callback(invoke_without_command=True)
@asks_admin_unless_subcommand
def classifier(admin: Admin, as_json: AsJson = False) -> None:
    """Show the domains of the last hour against the training mix; use another classifier."""
    response = admin.ask(lambda service: service.GetServerInfo, pb.GetServerInfoRequest())
    if not response.HasField("classifier"):
        fail("no learned classifier is in force: name its file as classifier.file, or use one")
    if as_json:
        print(json_of(response.classifier))
        return
    console().print(_head(response.classifier), soft_wrap=True)
    console().print(_shares(response.classifier))


@app.command(epilog="Example: [bold]turnout classifier use classifier.bin[/]")
@asks_admin
def use(
    file: Annotated[Path, typer.Argument(help="As turnout train wrote it.")],
    admin: Admin,
    force: Annotated[bool, typer.Option("--force", help="Even if it is clearly worse.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare a classifier with the one in force on kept requests, and put it in its place."""
    data = _read(file)
    request = pb.UpdateClassifierRequest(classifier=data, force=force, dry_run=dry_run)
    with admin.service() as service:
        response = service.UpdateClassifier(request, timeout=_COMPARISON_S, metadata=admin.metadata)
    if as_json:
        print(json_of(response))
    else:
        _say(file, response, dry_run=dry_run)
    if not response.in_force and not dry_run:
        raise typer.Exit(FAILED)


def _read(file: Path) -> bytes:
    # Here, for numpy takes 0.1 s, which other commands need not wait for.
    from server.named_files.classifier import read_classifier
    from server.routing.learned_classifier.file_format import ClassifierInvalid

    try:
        return read_classifier(str(file))
    except ClassifierInvalid as error:
        fail(f"{file}: {error}")


def _head(status: pb.ClassifierStatus) -> Text:
    if not status.HasField("drift"):
        return Text(f"{status.file}: too few decisions in the last hour to compare")
    said, style = ("drifted", "bold red") if status.drifted else ("as trained", "bold green")
    return Text.assemble(f"{status.file}: ", (said, style), f", stability index {status.drift:.3f}")


def _shares(status: pb.ClassifierStatus) -> Table:
    table = plain_table("domain", "trained>", "last hour>")
    for one in status.domains:
        table.add_row(one.domain, percent(one.trained), percent(one.seen))
    return table


def _say(file: Path, response: pb.UpdateClassifierResponse, *, dry_run: bool) -> None:
    out = console()
    if response.HasField("comparison"):
        out.print(_comparison(response.comparison))
    else:
        out.print("There was none in force to compare with.")
    if response.worse:
        out.print(Text.assemble(("clearly worse: ", "bold red"), response.worse), soft_wrap=True)
    if response.in_force:
        out.print(Text.assemble(f"{file}: ", ("in force", "bold green")), soft_wrap=True)
    elif not dry_run:
        out.print("The one before stays in force; --force puts this one in its place.")


def _comparison(found: pb.ClassifierComparison) -> Table:
    table = plain_table("", "before>", "after>")
    table.add_row(
        f"other, of {found.requests:,} kept requests",
        percent(found.other_before),
        percent(found.other_after),
    )
    if found.labelled:
        table.add_row(
            f"right, of {found.labelled:,} labelled",
            percent(found.right_before),
            percent(found.right_after),
        )
    table.add_row("the same domain", "", percent(found.same_domain))
    return table
