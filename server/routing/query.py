"""What the router is asked: a request without its transport."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from server.routing.callers import Caller
from server.routing.catalog import PayloadKind


class Tensor(NamedTuple):
    """The head of one input tensor."""

    name: str
    datatype: str
    elements: int  # by its shape; a size that is not known counts as 1


@dataclass(slots=True)
class Query:
    """The context, the features and the content of one request; empty means not said."""

    traffic_class: str = ""
    tenant: str = ""
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    response_format: str = ""
    domain: str = ""
    capabilities: tuple[str, ...] = ()
    options: tuple[str, ...] = ()  # of a chat: which fields its body has
    payload_kind: PayloadKind = PayloadKind.UNKNOWN
    input_tokens: int | None = None
    text: str = ""  # what is asked: the text itself, or the last turn of a chat
    earlier: str = ""  # what was said before it, without the system prompt
    messages: int = 0
    size_bytes: int = 0  # of the content, as it was sent
    # Of a chat: the system prompt, tools, pictures and what joins messages, in tokens.
    overhead_tokens: int = 0
    # Read when a rule asks for them: most requests are forwarded without.
    tensors: Callable[[], tuple[Tensor, ...]] = field(default=tuple, compare=False)
    caller: Caller | None = None  # None: nobody has a name here
    owner: bytes = b""  # the caller's, as ids of decisions have it

    def sign(self, caller: Caller, *, tenant_at: str) -> None:
        """Makes it this caller's; raises KeyTenant where it says that it is another tenant's.

        `tenant_at` is where requests name it.
        """
        self.tenant = caller.claim(self.tenant, field=tenant_at)
        self.caller, self.owner = caller, caller.owner
