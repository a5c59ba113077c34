"""Servers that whoever loads one must not mistake for ours."""

import asyncio
from collections.abc import AsyncIterator

import pytest


@pytest.fixture
async def hanging_up() -> AsyncIterator[str]:
    """Where everybody is hung up on, without a word."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
