"""What is said of an answer beside what the model said."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from server.money import NANO_PER_USD
from server.routing.decision import Decision
from server.routing.endpoints import Target
from server.rpc.class_name import AUTO
from server.token_usage import TokenUsage

# One sentence; a proxy's room for all fields of a head is 4 or 8 KiB.
REASON_CHARS_MAX = 512
_USD_DECIMALS = 9


class Answered(Protocol):
    """What answers have in common, whole ones and those that come in pieces."""

    @property
    def decision(self) -> Decision: ...
    @property
    def decision_id(self) -> str: ...
    @property
    def target(self) -> Target: ...
    @property
    def attempts(self) -> int: ...


def headers_of(answer: Answered, request_id: str) -> dict[str, str]:
    """Who answered, by which decision, and why; what is known before the answer is."""
    return {
        "x-turnout-model": answer.target.model.name,
        "x-turnout-decision": answer.decision_id,
        "x-turnout-attempts": str(answer.attempts),
        "x-turnout-reason": visible(answer.decision.reason),
        # Which OpenAI's own clients show.
        "x-request-id": visible(request_id) or answer.decision_id,
    }


class Paid(Protocol):
    """What answers have in common once they have ended."""

    @property
    def cost_nano_usd(self) -> int: ...
    @property
    def usage(self) -> TokenUsage | None: ...


def cost_of(answer: Paid) -> dict[str, str]:
    """What it cost; that it is estimated where the endpoint did not tell the usage."""
    cost = {"x-turnout-cost-usd": usd(answer.cost_nano_usd)}
    return cost if answer.usage is not None else cost | {"x-turnout-cost-estimated": "true"}


def usd(nano_usd: int) -> str:
    """Exactly, without an exponent: "0.000012"."""
    whole, rest = divmod(nano_usd, NANO_PER_USD)
    return f"{whole}.{rest:0{_USD_DECIMALS}d}".rstrip("0").rstrip(".")


def visible(text: str) -> str:
    """As a header can have it: ASCII that prints, and not too long."""
    text = text[:REASON_CHARS_MAX]
    if text.isascii() and text.isprintable():  # as nearly all are
        return text
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def models_of(classes: Iterable[str]) -> Mapping[str, object]:
    """As `GET /v1/models` lists them: `auto` and the classes."""
    return {"object": "list", "data": [model_of(name) for name in (AUTO, *classes)]}


def model_of(name: str) -> Mapping[str, object]:
    """One of them; a class was made when its configuration was, which nobody asks for."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "turnout"}
