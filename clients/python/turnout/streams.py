"""Answers in pieces, of the sync and of the asyncio client."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc

from turnout.answers import Chunk
from turnout.chats import Reading
from turnout.errors import InternalError
from turnout.resending import pause_s
from turnout.retry import Call
from turnout.status import error_of
from turnout.v1 import routing_pb2 as pb

# Begins a call that has so many seconds left. What comes is gRPC's, by the sync or the asyncio
# stub: an iterator of messages that can be cancelled.
Begin = Callable[[float | None], Any]


class Stream:
    """The pieces of one answer, as its model writes them; the last has `end`.

    The request is sent when the first is asked for. To leave its block early, or `close`, ends the
    exchange with the model at once. One thread iterates it; `close` may come from any.
    """

    def __init__(self, begin: Begin, call: Call) -> None:
        self._begin = begin
        self._call = call
        self._reading = Reading()
        self._rpc: Any = None
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the exchange, if it has not ended; what was written so far is paid for."""
        self._is_closed = True
        if self._rpc is not None:
            self._rpc.cancel()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        message = None if self._is_closed else self._message()
        if message is not None:
            return self._reading.chunk(message)
        if not self._is_closed:
            _hold_whole(self._reading)
        raise StopIteration

    def _message(self) -> pb.InferStreamResponse | None:
        """The next; None after the last."""
        if self._rpc is None:
            return self._first()
        try:
            return self._read()
        except grpc.RpcError as raised:
            raise error_of(raised) from raised

    def _first(self) -> pb.InferStreamResponse | None:
        while not self._is_closed:
            self._begin_again()
            try:
                first = self._read()
            except grpc.RpcError as raised:
                wait_s = pause_s(self._call, raised)
            else:
                self._call.answered()
                return first
            time.sleep(wait_s)
        return None

    def _begin_again(self) -> None:
        self._rpc = self._begin(self._call.left_s(time.monotonic()))
        if self._is_closed:  # in this moment, by another thread
            self._rpc.cancel()

    def _read(self) -> pb.InferStreamResponse | None:
        try:
            return next(self._rpc, None)
        except grpc.RpcError:
            if self._is_closed:
                return None
            raise


class AsyncStream:
    """`Stream` for asyncio: `async with`, `async for`. To cancel its task ends it as well."""

    def __init__(self, begin: Begin, call: Call) -> None:
        self._begin = begin
        self._call = call
        self._reading = Reading()
        self._rpc: Any = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the exchange, if it has not ended; what was written so far is paid for."""
        self._is_closed = True
        if self._rpc is not None:
            self._rpc.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        message = None if self._is_closed else await self._message()
        if message is not None:
            return self._reading.chunk(message)
        if not self._is_closed:
            _hold_whole(self._reading)
        raise StopAsyncIteration

    async def _message(self) -> pb.InferStreamResponse | None:
        """The next; None after the last."""
        if self._rpc is None:
            return await self._first()
        try:
            return await self._read()
        except grpc.RpcError as raised:
            raise error_of(raised) from raised

    async def _first(self) -> pb.InferStreamResponse | None:
        while not self._is_closed:
            self._rpc = self._begin(self._call.left_s(time.monotonic()))
            try:
                first = await self._read()
            except grpc.RpcError as raised:
                wait_s = pause_s(self._call, raised)
            else:
                self._call.answered()
                return first
            await asyncio.sleep(wait_s)
        return None

    async def _read(self) -> pb.InferStreamResponse | None:
        try:
            return await anext(aiter(self._rpc), None)
        except asyncio.CancelledError:
            # What grpc.aio raises of a call that another task has closed, too.
            if not self._is_closed or _is_task_cancelled():
                raise
            return None


def _is_task_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _hold_whole(reading: Reading) -> None:
    """Raises InternalError for a stream that ended well, but not as Turnout ends them."""
    if not reading.has_ended:
        raise InternalError("the stream ended without saying what it took")
