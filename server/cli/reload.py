"""`turnout reload`: another configuration for a service that runs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from server.cli.admin import Admin, asks_admin_of_file
from server.cli.terminal import FAILED, AsJson, console, fail_config, json_of, print_problems
from server.config.diagnostics import ConfigError, Diagnostic
from server.config.file import file_bytes
from turnout.v1 import admin_pb2 as pb

# Reading 4 MiB takes seconds, and workers have ten to follow.
_RELOAD_S = 60.0


@asks_admin_of_file
def reload(
    file: Annotated[Path, typer.Argument(help="The configuration; see docs/configuration.md.")],
    admin: Admin,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a configuration file in force while the service runs, and say what has changed.

    It is checked whole and applied whole: if anything is wrong, the configuration in force stays.
    Changes made while it ran are undone unless the file says them too. The service is found by
    the file's own listeners.admin or state_dir, unless --admin or --config say where it is.
    """
    request = pb.ReloadConfigRequest(content=_content(file), dry_run=dry_run)
    with admin.service() as service:
        response = service.ReloadConfig(request, timeout=_RELOAD_S, metadata=admin.metadata)
    if as_json:
        print(json_of(response))
    else:
        _say(file, response, dry_run=dry_run)
    if response.problems:
        raise typer.Exit(FAILED)


def _content(file: Path) -> bytes:
    try:
        return file_bytes(file)
    except ConfigError as error:
        fail_config(file, error)


def _say(file: Path, response: pb.ReloadConfigResponse, *, dry_run: bool) -> None:
    if response.problems:
        print_problems(console(stderr=True), file, _error(response))
        return
    out = console()
    state = ("nothing is changed yet", "bold") if dry_run else ("in force", "bold green")
    out.print(Text.assemble(f"{file}: ", state), soft_wrap=True)
    for change in response.changes:
        out.print(f"  {change.text}", soft_wrap=True)
    if response.changes_left_out:
        out.print(f"  and {response.changes_left_out:,} more")
    if not response.changes:
        out.print("  it says what was in force")
    if response.workers_behind:
        behind = ", ".join(response.workers_behind)
        out.print(f"  not yet at {behind}: they follow as soon as they can", soft_wrap=True)


def _error(response: pb.ReloadConfigResponse) -> ConfigError:
    return ConfigError(
        tuple(Diagnostic(p.path, p.line or None, p.message) for p in response.problems)
    )
