"""What a caller gets of a request that was seen through."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from server.dispatch.exchange import Bytes
from server.routing.decision import Decision
from server.routing.endpoints import Target
from server.routing.journey import Journey
from server.token_usage import NO_TOKENS, TokenUsage


@dataclass(slots=True)
class Answer:
    """What a model answered, and what it took."""

    response: Bytes
    decision: Decision
    decision_id: str
    target: Target  # the one that answered
    attempts: int
    cost_nano_usd: int  # of all attempts
    latency_s: float
    usage: TokenUsage | None = None  # as the endpoint told it
    counted: TokenUsage = NO_TOKENS  # what is charged: where it is not told, an estimate


@dataclass(slots=True)
class StreamedAnswer:
    """An answer that comes in pieces, from its first on; what it took is known at its end.

    Taking a piece raises StreamBroken where the answer breaks off; then what it took is known too.
    """

    decision: Decision
    decision_id: str
    target: Target  # the one that answers
    attempts: int
    pieces: AsyncIterator[Bytes]  # each is one or more whole events of SSE
    usage: TokenUsage | None = None  # as the endpoint told it
    counted: TokenUsage = NO_TOKENS  # what is charged: where it is not told, an estimate
    cost_nano_usd: int = 0  # of all attempts
    latency_s: float = 0.0  # without the time in which the caller did not read

    def conclude(self, journey: Journey) -> None:
        """Takes down what the journey took that has ended."""
        self.counted = journey.attempts[-1].usage
        self.cost_nano_usd, self.latency_s = journey.cost_nano_usd, journey.latency_s
