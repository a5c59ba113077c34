"""What long work asks of the transport between two stretches; grpcio's contexts offer neither."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from server.rpc.errors import Context

# Returns when the work may go on.
Turn: TypeAlias = Callable[[], Awaitable[None]]


def turn_of(context: Context) -> Turn:
    """Lets other calls go first, by the transport's order where it has one."""
    turn: Turn | None = getattr(context, "turn", None)
    return _next_pass if turn is None else turn


def hold(context: Context, size_bytes: int) -> None:
    """Counts so many more bytes as held until the call ends, where the transport counts."""
    if (count := getattr(context, "hold", None)) is not None:
        count(size_bytes)


async def _next_pass() -> None:
    await asyncio.sleep(0)
