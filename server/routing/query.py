"""What the router is asked: a request without its transport."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.routing.catalog import PayloadKind


@dataclass(slots=True)
class Query:
    """The context, the features and the text of one request; empty means not said."""

    traffic_class: str = ""
    tenant: str = ""
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    response_format: str = ""
    domain: str = ""
    capabilities: tuple[str, ...] = ()
    payload_kind: PayloadKind = PayloadKind.UNKNOWN
    input_tokens: int | None = None
    text: str = ""
