"""`turnout keys`: what callers show to be served; made, listed, replaced, revoked."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from rich.text import Text

from server.cli.admin import Admin, asks_admin, asks_admin_unless_subcommand
from server.cli.figures import age
from server.cli.terminal import AsJson, console, fail, json_of, plain_table
from server.money import usd
from turnout.v1 import admin_pb2 as pb

_UNITS_S: Mapping[str, int] = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_TIME = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_DAY_S = 86_400
_SEVERAL_DAYS_S = 3 * _DAY_S

app = typer.Typer(
    help="The keys that callers show: make one, list them, replace a secret, revoke one.",
)
Id = Annotated[str, typer.Argument(metavar="ID", help="The key, by its id in 'turnout keys list'.")]


def time_s(text: str) -> int:
    """Seconds in 90d, 12h, 30m or 45s."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise typer.BadParameter("a number and s, m, h or d, such as 12h or 90d")
    return int(found[1]) * _UNITS_S[found[2]]


@app.callback(invoke_without_command=True)
@asks_admin_unless_subcommand
def keys(admin: Admin, as_json: AsJson = False) -> None:
    """List the keys with what each may; make, rotate or revoke one."""
    _list(admin, as_json=as_json)


@app.command(
    epilog="Example: [bold]turnout keys create --tenant team-a --class support "
    "--requests-per-minute 600 --expires-in 90d > team-a.key[/]"
)
@asks_admin
def create(  # noqa: PLR0913 - what a key may is what it is about
    admin: Admin,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose requests they will be.")],
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class", metavar="CLASS", help="A class it may use, again for more. [dim]all[/]"
        ),
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How much it may ask. [dim]any[/]")
    ] = None,
    concurrent: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Calls it may have open at one time. [dim]any[/]"),
    ] = None,
    expires_in: Annotated[
        int | None,
        typer.Option(
            parser=time_s, metavar="TIME", help="When it ends: 90d, 12h, 30m. [dim]never[/]"
        ),
    ] = None,
    note: Annotated[
        str, typer.Option(metavar="TEXT", help="For people: who has it, what it is for.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make a key. It is printed once, and kept as a hash: who loses it gets another.

    The key alone goes to stdout, what is said about it to stderr.
    """
    wanted = pb.Key(
        tenant=tenant,
        classes=classes or (),
        requests_per_minute=requests_per_minute,
        concurrent=concurrent,
        note=note,
    )
    if expires_in is not None:
        wanted.expires.FromSeconds(int(time.time()) + expires_in)
    request = pb.CreateKeyRequest(key=wanted)
    made = admin.ask(lambda service: service.CreateKey, request)
    if as_json:
        print(json_of(made))
        return
    _tell(f"Key {made.key.id} is made for tenant {tenant}. It is shown this once:")
    print(made.secret)
    _tell("Callers send it as 'authorization: Bearer KEY'.", "dim")
    _tell_behind(made.behind)


@app.command("list", epilog="Example: [bold]turnout keys list --json[/]")
@asks_admin
def list_(admin: Admin, as_json: AsJson = False) -> None:
    """List the keys: whose they are, what each may, and when it was used last."""
    _list(admin, as_json=as_json)


@app.command(epilog="Example: [bold]turnout keys rotate k3v9x0q2ab --overlap 24h > team-a.key[/]")
@asks_admin
def rotate(
    id_: Id,
    admin: Admin,
    overlap: Annotated[
        int | None,
        typer.Option(
            parser=time_s,
            metavar="TIME",
            help="How long the old secret holds beside the new one: 12h, 30m, 0s. [dim]24h[/]",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give a key another secret, printed once. The old one holds for a time, 24h unless given."""
    overlap_s = _DAY_S if overlap is None else overlap
    request = pb.RotateKeyRequest(id=id_, overlap=Duration(seconds=overlap_s))
    made = admin.ask(lambda service: service.RotateKey, request)
    if as_json:
        print(json_of(made))
        return
    _tell(f"Key {made.key.id} of tenant {made.key.tenant} has a new secret, shown this once:")
    print(made.secret)
    until = f"holds until {_moment(made.key.overlap_until)} UTC" if overlap_s else "holds no more"
    _tell(f"The old one {until}.", "dim")
    _tell_behind(made.behind)


@app.command(epilog="Example: [bold]turnout keys revoke k3v9x0q2ab[/]")
@asks_admin
def revoke(id_: Id, admin: Admin, as_json: AsJson = False) -> None:
    """Revoke a key, for good: from now on nobody is served by it. Calls that are out end well."""
    request = pb.RevokeKeyRequest(id=id_)
    done = admin.ask(lambda service: service.RevokeKey, request)
    if as_json:
        print(json_of(done))
    else:
        console().print(f"Key {done.key.id} of tenant {done.key.tenant} is revoked.")
    _tell_behind(done.behind)


def _list(admin: Admin, *, as_json: bool) -> None:
    found = admin.ask(lambda service: service.ListKeys, pb.ListKeysRequest())
    if as_json:
        print(json_of(found))
        return
    if found.lost:
        _tell("The file of keys could not be read: earlier keys hold no more.", "bold red")
    if found.keys:
        console().print(table(found, now_s=time.time()))
    elif not found.lost:
        console().print("There is no key: 'turnout keys create --tenant NAME' makes one.")


def table(response: pb.ListKeysResponse, *, now_s: float) -> Table:
    """A line a key."""
    found = plain_table("id", "tenant", "classes", "a minute>", "at once>", "state", "used", "note")
    for key in response.keys:
        found.add_row(
            key.id,
            key.tenant,
            ", ".join(key.classes) or "all",
            f"{key.requests_per_minute:,}" if key.HasField("requests_per_minute") else "any",
            f"{key.concurrent:,}" if key.HasField("concurrent") else "any",
            _state(key, now_s),
            "\n".join(_used(key, now_s)),
            key.note,
        )
    return found


def _state(key: pb.Key, now_s: float) -> Text:
    if key.HasField("revoked"):
        return Text("revoked", "dim")
    if not key.HasField("expires"):
        return Text("holds")
    left_s = key.expires.seconds - now_s
    if left_s <= 0:
        return Text("expired", "dim")
    until = f"until {_moment(key.expires)}"
    return Text(until, "yellow") if left_s < _SEVERAL_DAYS_S else Text(until)


def _used(key: pb.Key, now_s: float) -> Iterator[str]:
    """When last, how much, and what that took."""
    if not key.HasField("last_used"):
        yield "never"
        return
    yield f"{age(now_s - key.last_used.seconds)} ago"
    if key.requests:
        yield f"{key.requests:,} asked"
    if tokens := key.input_tokens + key.output_tokens:
        yield f"{tokens:,} tokens"
    if key.cost_nano_usd:
        yield usd(key.cost_nano_usd)


def _moment(at: Timestamp) -> str:
    return datetime.fromtimestamp(at.seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _tell(words: str, style: str = "") -> None:
    console(stderr=True).print(Text(words, style), soft_wrap=True)


def _tell_behind(behind: Sequence[str]) -> None:
    """Ends the command with an error where it is not in force everywhere."""
    if behind:
        fail(f"it is kept, and not in force at {', '.join(behind)} yet: see 'turnout status'")
