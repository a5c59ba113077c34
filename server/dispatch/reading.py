"""The caller's end of an answer that comes in pieces."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from server.dispatch.answers import StreamedAnswer
from server.dispatch.late_timeout import LateTimeout
from server.dispatch.relay import READER_S_MAX, Relay
from server.routing.errors import ReaderStalled


@asynccontextmanager
async def reading(
    relay: Relay, carrying: Coroutine[Any, Any, None], now_s: Callable[[], float]
) -> AsyncIterator[StreamedAnswer]:
    """The answer once it has begun; raises what ended it before, and ReaderStalled within.

    A task of its own carries it, so that a caller who is slow holds up nobody but himself; it ends
    when the caller leaves.
    """
    carrier = asyncio.create_task(carrying)
    try:
        answer = await relay.begun()
        async with LateTimeout(relay.reader_due_s, now_s) as relay.reader:
            yield answer
    except TimeoutError:
        if relay.reader is None or not relay.reader.expired:
            raise
        raise _stalled(relay) from None
    finally:
        carrier.cancel()
        relay.close()
        relay.reader = None
        await asyncio.wait((carrier,))


def _stalled(relay: Relay) -> ReaderStalled:
    if relay.gives_way:
        return ReaderStalled("the worker holds too much for callers who read slowly: read faster")
    return ReaderStalled(f"nothing of the answer was taken for {READER_S_MAX:g} s: read it on")
