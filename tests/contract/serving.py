"""One service on either transport, and a channel of grpcio to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import grpc

from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server

TRANSPORTS = ("turnout", "grpcio")
MESSAGE_BYTES_MAX = 2**20

Add = Callable[[grpc.aio.Server], None]


@asynccontextmanager
async def serving(transport: str, add: Add) -> AsyncIterator[str]:
    """Serves what `add` adds; yields the address."""
    if transport == "turnout":
        async with _on_turnout(add) as address:
            yield address
    else:
        async with _on_grpcio(add) as address:
            yield address


@asynccontextmanager
async def _on_turnout(add: Add) -> AsyncIterator[str]:
    server = Server(ServerLimits(message_bytes_max=MESSAGE_BYTES_MAX), chance=lambda: 0.5)
    add(cast("grpc.aio.Server", server))
    try:
        yield await server.listen("127.0.0.1:0")
    finally:
        await server.stop(0)


@asynccontextmanager
async def _on_grpcio(add: Add) -> AsyncIterator[str]:
    size = ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)
    server = grpc.aio.server(options=(size, ("grpc.max_send_message_length", MESSAGE_BYTES_MAX)))
    add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)
