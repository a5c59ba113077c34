"""An answer that comes in pieces: read no further ahead than it may be, and left at once."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager, suppress

import aiohttp

from server.dispatch.exchange import Asked, Bytes, EndpointError, EventStream
from server.status_code import Code
from server.upstream.openai.client import leave
from server.upstream.openai.events import EVENT_BYTES_MAX, EventCutter, EventTooLong
from server.upstream.openai.failures import told_as_failures
from server.upstream.openai.refusals import event_error

# When the events are over the end of the answer follows at once, and the connection can be kept; a
# new one costs less than to wait longer.
LAST_BYTES_S = 0.1

_CHUNK = re.compile(rb"^data:[ ]?\{", re.MULTILINE)


class Reading:
    """Of one stream, which knows its usage when it ends."""

    stream: EventStream  # given once it is made

    def __init__(
        self, response: aiohttp.ClientResponse, asked: Asked, secrets: Iterable[str]
    ) -> None:
        self._response = response
        self._asked = asked
        self._secrets = secrets
        self._cutter = EventCutter(wants_usage=asked.wants_usage)
        self._is_empty = True

    async def pieces(self) -> AsyncGenerator[Bytes, None]:
        """Runs of whole events; raises EndpointError where the stream breaks."""
        content, cutter = self._response.content, self._cutter
        try:
            with told_as_failures(), _broken_with_its_connection(self._response):
                while not cutter.is_over and (data := await content.readany()):
                    run = cutter.feed(data)
                    if run:
                        if self._is_empty:
                            self._check_first(run)
                        yield run
            self._check_end()
            await self._take_the_rest()
        except EventTooLong:
            message = f"an event of its stream exceeds {EVENT_BYTES_MAX:,} bytes"
            raise EndpointError(Code.INTERNAL, message) from None
        finally:
            self.stream.usage = cutter.usage
            leave(self._response)

    def _check_first(self, run: bytes) -> None:
        self._is_empty = False
        if not _CHUNK.search(run):
            raise EndpointError(Code.INTERNAL, "what it streams are no chunks of an answer")

    def _check_end(self) -> None:
        """Raises EndpointError where the stream ended before its time."""
        cutter = self._cutter
        if cutter.error is not None:
            raise event_error(cutter.error, bytes(self._asked.body), self._secrets)
        if not cutter.ends_well():
            raise EndpointError(Code.UNAVAILABLE, "its stream broke off")
        if self._is_empty:
            raise EndpointError(Code.INTERNAL, "its stream is empty")

    async def _take_the_rest(self) -> None:
        with suppress(aiohttp.ClientError, OSError):  # TimeoutError is one
            async with asyncio.timeout(LAST_BYTES_S):
                while await self._response.content.readany():
                    pass


@contextmanager
def _broken_with_its_connection(response: aiohttp.ClientResponse) -> Iterator[None]:
    """Whoever reads hears that the connection was closed.

    The library closes it where the framing is garbage, and tells only who waits for a head.
    """
    connection = response.connection
    protocol = None if connection is None else connection.protocol
    closed = None if protocol is None else protocol.closed
    if closed is None:  # it is all here, or known to be broken
        yield
        return

    def tell(_: object) -> None:
        if not response.content.is_eof() and response.content.exception() is None:
            response.content.set_exception(aiohttp.ClientPayloadError("it was closed"))

    closed.add_done_callback(tell)
    closed.remove_done_callback(_hear)  # one is enough, however many streams it carries
    closed.add_done_callback(_hear)
    try:
        yield
    finally:
        closed.remove_done_callback(tell)


def _hear(closed: asyncio.Future[None]) -> None:
    """Or the loop would log that nobody has heard why the connection ended."""
    if not closed.cancelled():
        closed.exception()
