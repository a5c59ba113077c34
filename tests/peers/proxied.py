"""Proxies that others wrote, in front of something of ours or behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

from benchmarks.sides import Certificate, Side
from tests.server.certificates import Authority


@asynccontextmanager
async def running(proxy: AbstractContextManager[Side]) -> AsyncIterator[str]:
    """Where it listens. It starts and stops in a thread, for we have to serve meanwhile."""
    side = await asyncio.to_thread(proxy.__enter__)
    try:
        yield side.address
    finally:
        await asyncio.to_thread(proxy.__exit__, None, None, None)


def certificate(authority: Authority) -> Certificate:
    """Of a proxy on 127.0.0.1."""
    files = authority.issue("proxy", "127.0.0.1")
    return Certificate(Path(files.cert_file), Path(files.key_file), authority.file)


async def told(admin: Path, request: str) -> str:
    """What Envoy answers to an order such as "POST /drain_listeners", given on its socket."""
    reader, writer = await asyncio.open_unix_connection(admin)
    head = (f"{request} HTTP/1.1", "host: envoy", "content-length: 0", "connection: close")
    writer.write("\r\n".join((*head, "", "")).encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()
