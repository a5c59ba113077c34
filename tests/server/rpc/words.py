"""Language models for tests of the data plane, without the wire to them."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.dispatch.exchange import (
    Asked,
    Bytes,
    EndpointError,
    EventStream,
    Exchanges,
    Metadata,
    Reply,
)
from server.routing.catalog import Model
from server.status_code import Code
from server.token_usage import TokenUsage
from server.transport.held_bytes import HeldBytes

USAGE = TokenUsage(input=5, cached_input=20, cache_write_input=3, output=7, reasoning=2)
ANSWER = json.dumps(
    {"choices": [{"message": {"content": "Paris"}, "finish_reason": "stop"}]}
).encode()
# What comes next: an event, a pause in seconds, or how it breaks off.
Step = bytes | float | Code


def event(text: str | None = None, reason: str | None = None, **fields: Any) -> bytes:
    """A chunk that says so much more, as an event of SSE."""
    delta = {} if text is None else {"content": text}
    chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **fields}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def chunk_of(sse: bytes) -> bytes:
    return sse.removeprefix(b"data: ").removesuffix(b"\n\n")


STEPS: Sequence[Step] = (event(""), event("Pa"), event("ris"), event(reason="stop"))


@dataclass(slots=True)
class Words:
    """Stands for every endpoint of the protocol openai."""

    url: str = "http://127.0.0.1:1/v1"
    steps: Sequence[Step] = STEPS
    answer: Bytes | Code = ANSWER
    usage: TokenUsage | None = USAGE
    asked: list[Asked] = field(default_factory=list)
    metadata: Metadata = ()
    taken: int = 0  # events
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # a stream
    held: HeldBytes | None = None

    def beside(self, others: Exchanges) -> Exchanges:
        """The others' protocols go on as they were."""
        return Exchanges(
            {**others.whole, "openai": self.exchange},
            {**others.streamed, "openai": self.stream},
            self.held or others.held,
        )

    async def exchange(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> Reply:
        self.asked.append(asked)
        self.metadata = metadata
        if isinstance(self.answer, Code):
            raise EndpointError(self.answer, "no")
        return Reply(self.answer, self.usage)

    async def stream(
        self, address: str, model: Model, asked: Asked, timeout_s: float, metadata: Metadata
    ) -> EventStream:
        self.asked.append(asked)
        self.metadata = metadata
        events = EventStream(self._pieces())
        events.usage = self.usage
        return events

    async def _pieces(self) -> AsyncGenerator[Bytes, None]:
        try:
            for step in self.steps:
                if isinstance(step, bytes):
                    self.taken += 1
                    yield step
                elif isinstance(step, Code):
                    raise EndpointError(step, "cut")
                else:
                    await asyncio.sleep(step)
        finally:
            self.ended.set()
