"""Real sockets before an endpoint that break what passes: instead of the answer, or within it."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

# From the endpoint, to its caller, who has heard the first event once the third is set.
Breaking = Callable[[asyncio.StreamReader, asyncio.StreamWriter, asyncio.Event], Awaitable[None]]
_NO_LINGER = struct.pack("ii", 1, 0)  # its end is a reset
_BLANK = b"\r\n\r\n"


def saying(data: bytes) -> Breaking:
    """These bytes, whatever the endpoint says, and the end."""

    async def say(_: asyncio.StreamReader, to: asyncio.StreamWriter, __: asyncio.Event) -> None:
        to.write(data)
        await to.drain()

    return say


def holding(data: bytes) -> Breaking:
    """These bytes, and then nothing, not even the end."""

    async def hold(_: asyncio.StreamReader, to: asyncio.StreamWriter, __: asyncio.Event) -> None:
        to.write(data)
        await to.wait_closed()

    return hold


async def resetting(_: asyncio.StreamReader, to: asyncio.StreamWriter, __: asyncio.Event) -> None:
    """A reset in place of an answer."""
    reset(to)


def cutting_after(whole_bytes: int, then: bytes) -> Breaking:
    """So much of the answer and, once it was heard, these bytes and the end."""

    async def cut(
        answer: asyncio.StreamReader, to: asyncio.StreamWriter, heard: asyncio.Event
    ) -> None:
        to.write(await answer.readexactly(whole_bytes))
        await heard.wait()
        to.write(then)
        await to.drain()

    return cut


def babbling_after(whole_bytes: int, again: bytes) -> Breaking:
    """So much of the answer and, once it was heard, the same without end."""

    async def babble(
        answer: asyncio.StreamReader, to: asyncio.StreamWriter, heard: asyncio.Event
    ) -> None:
        to.write(await answer.readexactly(whole_bytes))
        await heard.wait()
        while True:
            to.write(again)
            await to.drain()

    return babble


async def passing(answer: asyncio.StreamReader, to: asyncio.StreamWriter, _: asyncio.Event) -> None:
    """All of it."""
    while data := await answer.read(65_536):
        to.write(data)
        await to.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()


@dataclass(slots=True)
class FaultProxy:
    """Before one endpoint; a test may change what breaks."""

    endpoint_port: int
    breaking: Breaking = passing
    port: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def take(self, caller: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        """Sees one connection through."""
        task = asyncio.current_task()
        assert task is not None
        self.open.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._pass(caller, to)
        finally:
            self.open.discard(task)
            to.close()

    async def _pass(self, caller: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        answer, ask = await asyncio.open_connection("127.0.0.1", self.endpoint_port)
        try:
            head = await caller.readuntil(_BLANK)
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            ask.write(head + await caller.readexactly(int(length or b"0")))
            await self.breaking(answer, to, self.heard)
        finally:
            ask.close()


@asynccontextmanager
async def breaking(endpoint_port: int) -> AsyncIterator[FaultProxy]:
    """A proxy on a free port."""
    proxy = FaultProxy(endpoint_port)
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in proxy.open:
            task.cancel()
        await asyncio.gather(*proxy.open, return_exceptions=True)
        await server.wait_closed()
