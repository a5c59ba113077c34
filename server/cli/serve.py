"""`turnout serve`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from server.cli.terminal import fail, fail_config
from server.config.diagnostics import ConfigError

# More than the cores of a machine; the control plane knows twice as many apart.
WORKERS_MAX = 128


def serve(
    file: Annotated[Path, typer.Argument(help="The configuration; see docs/configuration.md.")],
    workers: Annotated[
        int,
        typer.Option(
            min=1, max=WORKERS_MAX, help="Processes that answer; more than cores gain nothing."
        ),
    ] = 1,
    transport: Annotated[
        Literal["turnout", "grpcio"],
        typer.Option(help="What speaks gRPC to callers: our own, or grpcio, with one worker."),
    ] = "turnout",
) -> None:
    """Serve by a configuration file until SIGTERM or Ctrl-C, then drain."""
    # Only here, for it brings all that a service needs, and other commands are to start fast.
    from server.supervisor.child import StartError
    from server.supervisor.service import run

    try:
        status = run(file, workers=workers, transport=transport)
    except ConfigError as error:
        fail_config(file, error)
    except StartError as error:
        fail(str(error))
    raise typer.Exit(status)
