"""Writes the events of a stream as they come, with a comment where none came for some seconds."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from server.dispatch.exchange import Bytes

DONE = b"data: [DONE]\n\n"
_HEARTBEAT = b": waiting for the model\n\n"
HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # nginx would hold events back until it has some KB
}


class Events:
    """Of one stream, whose head is out."""

    def __init__(
        self, response: web.StreamResponse, clock: Callable[[], float], *, heartbeat_s: float
    ) -> None:
        self._response = response
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._written_s = clock()

    async def write(self, piece: Bytes) -> None:
        """Waits while its reader is too slow."""
        self._written_s = self._clock()
        await self._response.write(piece)

    async def beat(self) -> None:
        """Never ends."""
        while True:
            quiet_s = self._clock() - self._written_s
            if quiet_s >= self._heartbeat_s:
                await self.write(_HEARTBEAT)
            else:
                await asyncio.sleep(self._heartbeat_s - quiet_s)


@asynccontextmanager
async def events(response: web.StreamResponse, *, heartbeat_s: float) -> AsyncIterator[Events]:
    """Writes them, and comments between them, until it is left."""
    written = Events(response, asyncio.get_running_loop().time, heartbeat_s=heartbeat_s)
    beating = asyncio.create_task(written.beat())
    try:
        yield written
    finally:
        beating.cancel()
        # Its reader may have gone, of which whoever writes events hears too.
        with suppress(asyncio.CancelledError, ConnectionError):
            await beating


def comment(said: Mapping[str, str]) -> bytes:
    """What clients pass over, and people read."""
    words = " ".join(f"{name}={value}" for name, value in said.items())
    return f": {words}\n\n".encode("ascii")


def last_words(event: bytes) -> bytes:
    """An event that is the last of a chunked answer, with its end, as it goes out."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event)
