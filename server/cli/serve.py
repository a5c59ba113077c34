"""`turnout serve`."""

from pathlib import Path
from typing import Annotated

import typer

from server.cli.terminal import fail, fail_config
from server.config import ConfigError


def serve(
    file: Annotated[Path, typer.Argument(help="The configuration; see docs/configuration.md.")],
) -> None:
    """Serve by a configuration file until SIGTERM or Ctrl-C, then drain."""
    # Only here, for it brings all that a service needs, and other commands are to start fast.
    from server.supervisor import StartError, run

    try:
        status = run(file)
    except ConfigError as error:
        fail_config(file, error)
    except StartError as error:
        fail(str(error))
    raise typer.Exit(status)
