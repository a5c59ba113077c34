"""What dispatch needs of a protocol: an exchange with an endpoint, which is answered, whole or in
pieces, or fails.

What speaks a protocol is in `server/upstream/`; nothing here or in dispatch knows which there are.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from server.routing.catalog import Model
from server.status_code import Code
from server.token_usage import TokenUsage
from server.transport.held_bytes import HeldBytes

Bytes: TypeAlias = bytes | memoryview  # large messages are views of where they were received
Metadata = tuple[tuple[str, str], ...]


class Operation(Enum):
    """What is asked of a model."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    TENSORS = "tensors"


# To ask an enum for its member takes twenty times as long as to ask the module.
CHAT, EMBEDDINGS, TENSORS = Operation


class Asked(NamedTuple):
    """What a caller sent, and what of it an upstream has to know.

    The upstream makes of `body` what goes out: it alone changes it. Whether the answer is to come
    in pieces says `streams`, whatever the body has.
    """

    body: Bytes
    operation: Operation
    streams: bool = False  # the answer is to come in pieces
    wants_usage: bool = False  # the caller asked for the usage among the pieces
    output_tokens_max: int | None = None  # the most that may be written, whatever the body has
    output_tokens_set: int | None = None  # the most that the body lets be written
    choices: int = 1  # answers that it asks for; both limits are of each

    def output_tokens(self, expected: int) -> int:
        """How many will be written, where so many are expected of such requests."""
        limits = (self.output_tokens_max, self.output_tokens_set)
        each = min((one for one in limits if one is not None), default=None)
        return expected if each is None else min(expected, each * self.choices)


class Reply(NamedTuple):
    """What an endpoint answered, whole."""

    body: Bytes
    usage: TokenUsage | None = None  # None: it was not told


@dataclass(slots=True)
class EventStream:
    """An answer that comes in pieces; `usage` is known once it has ended, if it was told.

    A piece is one or more whole events of SSE, as the endpoint sent them; without `[DONE]`, and
    without a usage that the caller did not ask for. To take one raises EndpointError where the
    stream breaks. `aclose()` of the pieces ends the exchange.
    """

    pieces: AsyncGenerator[Bytes, None]
    usage: TokenUsage | None = None


# Sends to an address of a model what is asked within a time, and returns what it answered; raises
# EndpointError. Cancelling it cancels the exchange.
OpenExchange = Callable[[str, Model, Asked, float, Metadata], Awaitable[Reply]]
# The same, and returns once the head of a good answer is there; the time is that of the whole.
OpenStream = Callable[[str, Model, Asked, float, Metadata], Awaitable[EventStream]]


class Exchanges(NamedTuple):
    """How endpoints are asked, by the protocol of the model."""

    whole: Mapping[str, OpenExchange]
    streamed: Mapping[str, OpenStream] = MappingProxyType({})
    held: HeldBytes | None = None  # counts what waits for callers who read slowly


class EndpointError(Exception):
    """An endpoint answered with a status, or could not be reached."""

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        is_sent: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        """`is_sent` is False where it is certain that nothing left for the endpoint.

        `retry_after_s` is when it asked to be asked again, if it did.
        """
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.code = code
        self.is_sent = is_sent
