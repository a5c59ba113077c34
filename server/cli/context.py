"""Options of commands that ask for something: who asks, and of what class it is."""

from collections.abc import Iterable
from typing import Annotated

import typer

from turnout.v1 import routing_pb2 as pb

TrafficClass = Annotated[
    str, typer.Option("--class", help="A class by name, instead of the rules.")
]
Tenant = Annotated[str, typer.Option(help="Who asks.")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="KEY=VALUE", help="A label; can be given again."),
]


def context_of(
    tenant: str, labels: Iterable[str] | None, traffic_class: str = ""
) -> pb.RequestContext:
    """What the options say; a label that is none is a mistyped command."""
    return pb.RequestContext(
        traffic_class=traffic_class, tenant=tenant, labels=dict(map(_label_of, labels or ()))
    )


def _label_of(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise typer.BadParameter(f"{text!r} is no KEY=VALUE", param_hint="--label")
    return key, value
