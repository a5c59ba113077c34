"""Servicers that answer much, and callers whose windows are narrow or wide."""

import asyncio
from collections.abc import AsyncIterator

from server.transport.http2.limits import Limits
from server.transport.serving.call import ServerCall

MIB = 2**20


async def large(request: bytes, context: object) -> bytes:
    return bytes(int(request))


async def stream(request: bytes, context: ServerCall) -> AsyncIterator[bytes]:
    while True:
        yield bytes(100_000)


NARROW = Limits(stream_window_bytes=MIB, connection_window_bytes=65_535)
WIDE = Limits(stream_window_bytes=2**31 - 1, connection_window_bytes=2**31 - 1)


async def endless(request: bytes, context: object) -> AsyncIterator[bytes]:
    """Says nothing, as Health/Watch while nothing changes."""
    await asyncio.Event().wait()
    yield b""
