"""The command with all that it can do."""

import typer

from server.cli import (
    check,
    classifier,
    classify,
    models,
    plan,
    reload,
    route,
    serve,
    state,
    status,
    train,
)

app = typer.Typer(
    name="turnout",
    help="Decides, for every inference request, which model answers it.",
    epilog=(
        "A first session: [bold]turnout check FILE[/], [bold]turnout serve FILE[/], "
        "[bold]turnout route --text 'hello' --dry-run[/], [bold]turnout plan --watch[/]. "
        "Exit status: 0 done; 1 it cannot be done, the message says what to do; "
        "2 the command was mistyped."
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # a traceback of ours is for an issue, with no locals in it
)


def _example(command: str) -> str:
    return f"Example: [bold]turnout {command}[/]"


app.command(epilog=_example("serve deploy/example.yaml"))(serve.serve)
app.command(epilog=_example("reload deploy/example.yaml --dry-run"))(reload.reload)
app.command(epilog=_example("check deploy/example.yaml"))(check.check)
app.command(epilog=_example("schema > turnout.schema.json"))(check.schema)
app.command(epilog=_example("route --text 'Where is my parcel?' --label app=support-chat"))(
    route.route
)
app.command(epilog=_example("classify 'Is this clause valid?' --config deploy/example.yaml"))(
    classify.classify
)
app.command(epilog=_example("plan --watch"))(plan.plan)
app.command(epilog=_example("status"))(status.status)
app.command(epilog=_example("train labelled.csv --out classifier.bin"))(train.train)
app.add_typer(classifier.app, name="classifier", epilog=_example("classifier use classifier.bin"))
app.add_typer(state.app, name="state", epilog=_example("state show"))
app.add_typer(models.app, name="models", epilog=_example("models --json"))
