"""`turnout class`: what classes of traffic are promised; another promise while the service runs."""

from typing import Annotated

import typer
from rich.table import Table

from server.cli.admin import Admin, asks_admin, asks_admin_unless_subcommand
from server.cli.assignments import Assignments, assign, keys_help
from server.cli.figures import percent
from server.cli.terminal import AsJson, plain_table, show, show_changed
from server.config.classes import ClassConfig
from server.rpc.admin_changes import class_changes, paths_of
from turnout.v1 import admin_pb2 as pb

_KEYS = paths_of(class_changes(pb.TrafficClass(slo=pb.Slo())))

app = typer.Typer(help="What classes of traffic are promised: list it, change it.")


@app.callback(invoke_without_command=True)
@asks_admin_unless_subcommand
def classes(admin: Admin, as_json: AsJson = False) -> None:
    """List the classes with what each is promised; change one."""
    _list(admin, as_json=as_json)


@app.command("list", epilog="Example: [bold]turnout class list --json[/]")
@asks_admin
def list_(admin: Admin, as_json: AsJson = False) -> None:
    """List the classes: floor, SLO, audit rate, priority and deadline."""
    _list(admin, as_json=as_json)


@app.command("set", epilog=keys_help(ClassConfig, _KEYS, "class set support floor=0.9 slo.ms=900"))
@asks_admin
def set_(
    name: Annotated[str, typer.Argument(help="The class, as the configuration calls it.")],
    changes: Assignments,
    admin: Admin,
    as_json: AsJson = False,
) -> None:
    """Change what a class is promised while the service runs; the next plan keeps to it."""
    wanted = pb.TrafficClass(name=name)
    mask = assign(wanted, changes, keys=_KEYS)
    request = pb.UpdateClassRequest(traffic_class=wanted, update_mask=mask)
    found = admin.ask(lambda service: service.UpdateClass, request).traffic_class
    show_changed(name, found, mask.paths, as_json=as_json)


def _list(admin: Admin, *, as_json: bool) -> None:
    request = pb.ListClassesRequest()
    show(admin.ask(lambda service: service.ListClasses, request), table, as_json=as_json)


def table(response: pb.ListClassesResponse) -> Table:
    """A line a class."""
    found = plain_table("class", "floor>", "SLO>", "audited>", "priority>", "deadline>")
    for one in response.classes:
        found.add_row(
            one.name,
            _floors(one),
            f"{percent(one.slo.fraction)} in {one.slo.ms:,g} ms" if one.HasField("slo") else "none",
            percent(one.audit_rate),
            str(one.priority),
            f"{one.deadline_s:,g} s",
        )
    return found


def _floors(one: pb.TrafficClass) -> str:
    """The floor, and on lines of their own where it falls to and that of each domain."""
    lines = [percent(one.floor) if one.floor else "none"]
    if one.HasField("floor_when_short"):
        lines.append(f"{percent(one.floor_when_short)} if short")
    if one.domain_floor:
        lines.append(f"{percent(one.domain_floor)} a domain")
    return "\n".join(lines)
