"""`turnout models`: what answers, and taking it out and in."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from rich.table import Table
from rich.text import Text

from server.cli.admin import Admin, asks_admin, asks_admin_unless_subcommand
from server.cli.assignments import Assignments, assign, keys_help
from server.cli.figures import estimate
from server.cli.terminal import AsJson, console, json_of, plain_table, show, show_changed
from server.config.models import ModelConfig
from server.money import NANO_PER_USD, usd
from server.rpc.admin_changes import model_changes, paths_of
from turnout.v1 import admin_pb2 as pb

# A list of sections has no form on a command line.
_KEYS = tuple(key for key in paths_of(model_changes(pb.Model())) if key != "price.tiers")

_TOKEN_UNITS = {
    "input_usd_per_mtok": "in",
    "cached_input_usd_per_mtok": "cached",
    "cache_write_usd_per_mtok": "to cache",
    "output_usd_per_mtok": "out",
    "reasoning_usd_per_mtok": "thought",
}

app = typer.Typer(help="The models that answer: list them, change or drain one, take it back.")
Name = Annotated[str, typer.Argument(help="The model, as the configuration calls it.")]


@app.callback(invoke_without_command=True)
@asks_admin_unless_subcommand
def models(admin: Admin, as_json: AsJson = False) -> None:
    """List the models with what they take, cost and did in the last hour; change or drain one."""
    _list(admin, as_json=as_json)


def _list(admin: Admin, *, as_json: bool) -> None:
    request = pb.ListModelsRequest()
    show(admin.ask(lambda service: service.ListModels, request), table, as_json=as_json)


@app.command("list", epilog="Example: [bold]turnout model list --json[/]")
@asks_admin
def list_(admin: Admin, as_json: AsJson = False) -> None:
    """List the models: endpoints, accuracy, the last hour and the price of each."""
    _list(admin, as_json=as_json)


@app.command("set", epilog=keys_help(ModelConfig, _KEYS, "model set small price.request_usd=0.002"))
@asks_admin
def set_(
    name: Name,
    changes: Assignments,
    admin: Admin,
    add: Annotated[
        bool, typer.Option("--add", help="Add the model where there is none of this name.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change a model while the service runs; the next plan keeps to it."""
    wanted = pb.Model(name=name, enabled=add)
    mask = assign(wanted, changes, keys=_KEYS)
    request = pb.UpdateModelRequest(model=wanted, update_mask=mask, allow_missing=add)
    found = admin.ask(lambda service: service.UpdateModel, request).model
    show_changed(name, found, mask.paths, as_json=as_json)


@app.command(epilog="Example: [bold]turnout model drain small[/]")
@asks_admin
def drain(name: Name, admin: Admin, as_json: AsJson = False) -> None:
    """Drain a model: no new request goes to it, those in flight end."""
    model = _set_enabled(admin, name, enabled=False)
    if as_json:
        print(json_of(model))
        return
    said = f"{name} is drained: no new request goes to it, those in flight end."
    hint = (
        f"'turnout model enable {name}' takes it back, and so does a restart: "
        "to keep it out, write enabled: false in the file."
    )
    console().print(Text.assemble(said, "\n", (hint, "dim")))


@app.command(epilog="Example: [bold]turnout model enable small[/]")
@asks_admin
def enable(name: Name, admin: Admin, as_json: AsJson = False) -> None:
    """Take a drained model back; the next plan may use it."""
    model = _set_enabled(admin, name, enabled=True)
    if as_json:
        print(json_of(model))
        return
    console().print(f"{name} is enabled: the next plan may use it.")


def _set_enabled(admin: Admin, name: str, *, enabled: bool) -> pb.Model:
    request = pb.UpdateModelRequest(
        model=pb.Model(name=name, enabled=enabled), update_mask=FieldMask(paths=["enabled"])
    )
    return admin.ask(lambda service: service.UpdateModel, request).model


def table(response: pb.ListModelsResponse) -> Table:
    """A few lines a model, so that it fits in 80 columns."""
    found = plain_table("model", "endpoints", "accuracy>", "last hour>", "price>")
    for status in response.models:
        found.add_row(*(_lines(column) for column in _columns(status)), end_section=True)
    return found


def _columns(status: pb.ModelStatus) -> Iterator[list[str | tuple[str, str]]]:
    model, accuracy = status.model, status.accuracy
    state = ("serving", "green") if model.enabled else ("drained", "yellow")
    takes = [(kind, "dim") for kind in status.payload_kinds]
    yield [(model.name, "bold"), model.version, (model.protocol, "dim"), *takes, state]
    yield list(_endpoints(status))
    grades = f"{accuracy.grades:,.0f} grades" if accuracy.grades else "no grades: prior"
    yield [estimate(accuracy), (grades, "dim")]
    yield list(_last_hour(status))
    yield list(_prices(status))


def _last_hour(status: pb.ModelStatus) -> Iterator[str | tuple[str, str]]:
    yield f"{status.requests:,} asked"
    yield usd(status.cost_nano_usd)
    if status.estimated_nano_usd:
        yield f"of it {usd(status.estimated_nano_usd)} estimated", "dim"
    if status.unreported:
        yield f"{status.unreported:,} unreported:", "dim"
        yield f"about {usd(status.unreported_nano_usd)}", "dim"


def _endpoints(status: pb.ModelStatus) -> Iterator[str | tuple[str, str]]:
    ejected = [endpoint for endpoint in status.endpoints if endpoint.ejected]
    count = len(status.endpoints)
    if not count:
        yield "none: callers"
        yield "reach it themselves"
        return
    yield f"{count - len(ejected)} of {count} up" if ejected else f"{count} up"
    for endpoint in ejected:
        yield f"{endpoint.address} out", "red"
        if endpoint.HasField("ejected_until"):
            until = datetime.fromtimestamp(endpoint.ejected_until.seconds, UTC)
            yield f"until {until:%H:%M:%S} UTC", "red"
    yield f"{status.in_flight:,} in flight", "dim"


def _prices(status: pb.ModelStatus) -> Iterator[str | tuple[str, str]]:
    """What is charged; of an older control plane, what is configured."""
    price = status.charged if status.HasField("charged") else status.model.price
    yield from _token_prices(price)
    for tier in price.tiers:
        yield f"above {tier.above_input_tokens:,} in:", "dim"
        yield from _token_prices(tier)
    for amount_usd, unit in ((price.request_usd, "request"), (price.busy_second_usd, "busy s")):
        if amount_usd:
            yield f"{usd(amount_usd * NANO_PER_USD)} / {unit}"
    if status.model.price.list_price:
        yield "list price of", "dim"
        yield status.model.price.list_price, "dim"


def _token_prices(price: pb.Price | pb.PriceTier) -> Iterator[str]:
    for key, unit in _TOKEN_UNITS.items():
        amount_usd = getattr(price, key)
        if amount_usd:
            yield f"{usd(amount_usd * NANO_PER_USD)} / Mtok {unit}"


def _lines(parts: list[str | tuple[str, str]]) -> Text:
    """One below the other; those that are empty take no line."""
    return Text("\n").join(Text.assemble(part) for part in parts if part)
