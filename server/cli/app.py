"""The command with all that it can do."""

from typing import Annotated

import typer

from server.cli import (
    budget,
    changes,
    chat,
    check,
    classes,
    classifier,
    classify,
    infer,
    keys,
    models,
    plan,
    reload,
    replay,
    report,
    route,
    serve,
    state,
    status,
    train,
)
from server.version import VERSION

app = typer.Typer(
    name="turnout",
    help="Decides, for every inference request, which model answers it.",
    epilog=(
        "A first session: [bold]turnout check FILE[/], [bold]turnout serve FILE[/], "
        "[bold]turnout route --text 'hello' --dry-run[/], [bold]turnout plan --watch[/]. "
        "Exit status: 0 done; 1 it cannot be done, the message says what to do; "
        "2 the command was mistyped. "
        "With [bold]--install-completion[/] your shell completes commands and options."
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # a traceback of ours is for an issue, with no locals in it
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"turnout {VERSION}")
        raise typer.Exit


@app.callback()
def turnout(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Decides, for every inference request, which model answers it."""


def _example(command: str) -> str:
    return f"Example: [bold]turnout {command}[/]"


app.command(epilog=_example("serve deploy/example.yaml"))(serve.serve)
app.command(epilog=_example("reload deploy/example.yaml --dry-run"))(reload.reload)
app.command(epilog=_example("check deploy/example.yaml"))(check.check)
app.command(epilog=_example("schema > turnout.schema.json"))(check.schema)
app.command(epilog=_example("route --text 'Where is my parcel?' --label app=support-chat"))(
    route.route
)
app.command(epilog=infer.HELP)(infer.infer)
app.command(epilog=chat.HELP)(chat.chat)
app.command(epilog=_example("classify 'Is this clause valid?' --config deploy/example.yaml"))(
    classify.classify
)
app.command(epilog=_example("plan --watch"))(plan.plan)
app.command(epilog=_example("status"))(status.status)
app.command(epilog=report.HELP)(report.report)
app.command(epilog=_example("changes --limit 5"))(changes.changes)
app.command(epilog=_example("replay deploy/example.yaml recorded --per-s 50"))(replay.replay)
app.command(epilog=_example("train labelled.csv --out classifier.bin"))(train.train)
app.add_typer(classifier.app, name="classifier", epilog=_example("classifier use classifier.bin"))
app.add_typer(state.app, name="state", epilog=_example("state show"))
_MODEL = _example("model set small price.request_usd=0.002")
app.add_typer(models.app, name="model", epilog=_MODEL)
app.add_typer(models.app, name="models", epilog=_MODEL, hidden=True)  # as it was called first
app.add_typer(classes.app, name="class", epilog=_example("class set support floor=0.9"))
app.add_typer(keys.app, name="keys", epilog=_example("keys create --tenant team-a"))
app.add_typer(budget.app, name="budget", epilog=_example("budget set company amount_usd=4500"))
