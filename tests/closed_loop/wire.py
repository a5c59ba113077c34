"""What is left out: a worker's channel to the control plane. Messages go as bytes all the same."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from server.status_code import Code
from server.transport.grpc.answer import CallFailed
from tests.closed_loop.control import Control, Ends
from turnout.v1 import control_pb2 as pb

# Each way, so that a process may die between the two.
WIRE_S = 1 / 512


class Wire:
    """What a worker needs of server.transport.channel.Channel."""

    def __init__(self) -> None:
        self.other: Control | None = None

    async def unary(self, path: str, request: bytes, *, timeout_s: float | None) -> bytes:
        """The answer; raises CallFailed where the other side dies meanwhile."""
        other = self._alive()
        await asyncio.sleep(WIRE_S)
        _hold(other)
        method = getattr(other.servicer, path.rpartition("/")[2])
        answer: bytes = await method(request, None)
        await asyncio.sleep(WIRE_S)
        _hold(other)
        return answer

    def stream(self, path: str, *, timeout_s: float | None) -> "Watch":
        return Watch(self._alive())

    def _alive(self) -> Control:
        """Whoever listens; raises CallFailed where nobody does."""
        if self.other is None or self.other.is_dead:
            raise CallFailed(Code.UNAVAILABLE, "nobody listens")
        return self.other


def _hold(other: Control) -> None:
    if other.is_dead:
        raise CallFailed(Code.UNAVAILABLE, "the other side died")


class Watch:
    """One WatchPlan call."""

    def __init__(self, other: Control) -> None:
        self._other = other
        self._parts: Ends = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pump is not None:
            self._pump.cancel()

    async def send(self, message: bytes) -> None:
        self._other.attach(self._parts)
        self._pump = asyncio.create_task(self._watch(pb.WatchPlanRequest.FromString(message)))

    def half_close(self) -> None:
        """There is one request."""

    async def _watch(self, request: pb.WatchPlanRequest) -> None:
        async for part in self._other.watch(request):
            self._parts.put_nowait(part.SerializeToString())

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (part := await self._parts.get()) is not None:
            await asyncio.sleep(WIRE_S)
            _hold(self._other)
            yield part
        raise CallFailed(Code.UNAVAILABLE, "the other side died")
