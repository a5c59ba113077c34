"""`turnout changes`: who changed what while the service ran."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from server.cli.admin import Admin, asks_admin
from server.cli.terminal import AsJson, console, json_of, plain_table
from turnout.v1 import admin_pb2 as pb

_SHOWN = 20


@asks_admin
def changes(
    admin: Admin,
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many, the newest first.")
    ] = _SHOWN,
    as_json: AsJson = False,
) -> None:
    """Show who changed what while the service ran, and what it was before."""
    updates = admin.ask(lambda service: service.ListUpdates, pb.ListUpdatesRequest()).updates
    shown = pb.ListUpdatesResponse(updates=updates[:limit])
    if as_json:
        print(json_of(shown))
    elif not updates:
        console().print("Nothing was changed while the service ran.")
    else:
        console().print(table(shown))
        if left := len(updates) - len(shown.updates):
            console().print(Text(f"{left:,} earlier ones: see --limit", "dim"))


def table(response: pb.ListUpdatesResponse) -> Table:
    """A line a change, the newest update first."""
    found = plain_table("when (UTC)", "who", "what")
    for update in response.updates:
        lines = [change.text for change in update.changes]
        if update.left_out:
            lines.append(f"and {update.left_out:,} more")
        found.add_row(_when(update), _who(update), "\n".join(lines))
    return found


def _when(update: pb.ConfigUpdate) -> str:
    return datetime.fromtimestamp(update.time.seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _who(update: pb.ConfigUpdate) -> str:
    return f"{update.who} ({update.operator})" if update.operator else update.who
