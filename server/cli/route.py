"""`turnout route`: one decision, with its reason."""

from collections.abc import Iterator
from typing import Annotated

import grpc
import typer
from rich.table import Table
from rich.text import Text

from server.cli.connection import (
    DATA_ADDRESS,
    TIMEOUT_S,
    DataAddress,
    KeyFile,
    TlsCa,
    TlsCert,
    TlsKey,
    connected,
    shown,
    tls_of,
)
from server.cli.context import Labels, Tenant, TrafficClass, context_of
from server.cli.terminal import AsJson, console, json_of
from server.money import usd
from server.wire import oip_pb2
from turnout.status import error_of
from turnout.v1 import routing_pb2 as pb
from turnout.v1.routing_pb2_grpc import RoutingServiceStub

_NO_CANDIDATE = "NO_CANDIDATE"  # what Turnout says where no model takes what was sent
_BASIS = {
    pb.BASIS_PLAN: "the plan's shares for this cell",
    pb.BASIS_CLASS: "the plan's shares for this class",
    pb.BASIS_GREEDY: "no plan yet: the cheapest model believed to hold the floor",
}


def route(  # noqa: PLR0913 - a parameter is an option
    text: Annotated[str, typer.Option(help="The content of the request.")] = "",
    traffic_class: TrafficClass = "",
    tenant: Tenant = "",
    label: Labels = None,
    domain: Annotated[str, typer.Option(help="What the content is about.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Explain, and count nothing.")] = False,
    address: DataAddress = DATA_ADDRESS,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask which model should answer one request, and why.

    Where no model takes text, the text is asked about as the tensor of an Open Inference Protocol
    request.
    """
    request = pb.RouteRequest(
        context=context_of(tenant, label, traffic_class),
        features=pb.Features(domain=domain),
        dry_run=dry_run,
    )
    if text:
        request.text = text
    credentials = tls_of(tls_ca, tls_cert, tls_key)
    metadata = shown(key_file)
    with connected(address, "--address", credentials) as channel:
        response = _decided(RoutingServiceStub(channel), request, metadata)
    if as_json:
        print(json_of(response))
    else:
        console().print(decision(response))
        # Apart, for who copies it wants it in one piece.
        said = response.decision_id or "none: a dry run counts nothing"
        console().print(Text.assemble(("decision     ", "dim"), said), soft_wrap=True)


def _decided(
    stub: RoutingServiceStub, request: pb.RouteRequest, metadata: tuple[tuple[str, str], ...]
) -> pb.RouteResponse:
    try:
        return stub.Route(request, timeout=TIMEOUT_S, metadata=metadata)
    except grpc.RpcError as error:
        if not request.text or error_of(error).reason != _NO_CANDIDATE:
            raise
    request.oip_request = _as_tensor(request.text)
    return stub.Route(request, timeout=TIMEOUT_S, metadata=metadata)


def _as_tensor(text: str) -> bytes:
    """An Open Inference Protocol request with the text, as models that take tensors get it."""
    asked = oip_pb2.ModelInferRequest()
    tensor = asked.inputs.add(name="text", datatype="BYTES", shape=[1])
    tensor.contents.bytes_contents.append(text.encode())
    return asked.SerializeToString()


def decision(response: pb.RouteResponse) -> Table:
    """The model first, then why."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(response):
        table.add_row(name, value)
    return table


def _rows(response: pb.RouteResponse) -> Iterator[tuple[str, str | Text]]:
    cell, reason = response.cell, response.reason
    yield "model", _target(response.target)
    yield "because", reason.text or _BASIS.get(reason.basis, "")
    yield "class", f"{cell.traffic_class}, by {class_rule(reason.rule)}"
    yield "cell", _cell(cell)
    yield "costs about", usd(response.expected_cost_nano_usd)
    for number, target in enumerate(response.fallbacks):
        yield "if it fails" if number == 0 else "", _target(target)
    if response.plan_id:
        yield "plan", response.plan_id
    if response.report_wanted:
        yield "audit", "in the sample: please report how good the answer was"


def _cell(cell: pb.Cell) -> str:
    parts = f"payer {cell.payer}, domain {cell.domain}, size {cell.size_bucket}"
    return f"{parts}, payload {cell.payload_kind}"


def class_rule(rule: str) -> str:
    """What put a request into its class, in words."""
    known = {"context": "the request's own word", "default": "default: no rule matched"}
    return known.get(rule, f"the rule of {rule}")


def _target(target: pb.Target) -> Text:
    version = f" {target.version}" if target.version else ""
    where = f" at {target.endpoint}" if target.endpoint else " (no endpoint: you reach it yourself)"
    return Text.assemble((target.model, "bold green"), version, (where, "dim"))
