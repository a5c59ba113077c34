"""What dispatch needs of a protocol: an exchange with an endpoint, which is answered or fails.

What speaks a protocol is in `server/upstream/`; nothing here or in dispatch knows which there are.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from server.routing.catalog import Model
from server.status_code import Code

Bytes: TypeAlias = bytes | memoryview  # large messages are views of where they were received
Metadata = tuple[tuple[str, str], ...]

# Sends a request to an address of a model within a time, and returns what it answered; raises
# EndpointError. Cancelling it cancels the exchange.
OpenExchange = Callable[[str, Model, Bytes, float, Metadata], Awaitable[Bytes]]
# By the protocol of the model.
Exchanges = Mapping[str, OpenExchange]


class EndpointError(Exception):
    """An endpoint answered with a status, or could not be reached."""

    def __init__(self, code: Code, message: str, *, is_sent: bool = True) -> None:
        """`is_sent` is False where it is certain that nothing left for the endpoint."""
        super().__init__(message)
        self.code = code
        self.is_sent = is_sent
