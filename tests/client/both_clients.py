"""What lets one test speak to the sync and to the asyncio client."""

import inspect
from collections.abc import Awaitable
from typing import TypeVar

from turnout import AsyncClient, AsyncStream, Chunk, Client, RetryPolicy, Stream

AnyClient = Client | AsyncClient
AnyClientClass = type[Client] | type[AsyncClient]

# Real pauses, only short.
QUICK = RetryPolicy(attempts_max=4, backoff_first_s=0.001, backoff_s_max=0.004)

_Value = TypeVar("_Value")


async def settled(value: _Value | Awaitable[_Value]) -> _Value:
    """The sync client has its answer at once, the asyncio client once it is awaited."""
    return await value if inspect.isawaitable(value) else value


async def pieces(stream: Stream | AsyncStream) -> list[Chunk]:
    """All of a stream, of either client."""
    if isinstance(stream, AsyncStream):
        return [chunk async for chunk in stream]
    return list(stream)


async def piece(stream: Stream | AsyncStream) -> Chunk:
    """The next."""
    return await anext(stream) if isinstance(stream, AsyncStream) else next(stream)
