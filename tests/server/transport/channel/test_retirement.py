"""A server of our own that retires connections while calls are out: none is lost."""

import asyncio
from typing import Any

import grpc

from server.transport.channel.channel import Channel
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server

SERVICE, ECHO = "turnout.testing.Restarts", "/turnout.testing.Restarts/Echo"
CALLS_AT_ONCE = 8
WAIT_S = 20.0  # a limit for what takes milliseconds


class Echo:
    """Notes who called."""

    def __init__(self) -> None:
        self.peers: set[str] = set()

    async def echo(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        self.peers.add(context.peer())
        await asyncio.sleep(0)  # so that calls are out when a connection retires
        return request

    @property
    def handler(self) -> grpc.GenericRpcHandler:
        method: grpc.RpcMethodHandler[bytes, bytes]
        method = grpc.unary_unary_rpc_method_handler(self.echo)
        return grpc.method_handlers_generic_handler(SERVICE, {"Echo": method})


async def call_together(channel: Channel) -> None:
    requests = [b"%d" % i for i in range(CALLS_AT_ONCE)]
    calls = [channel.unary(ECHO, request, timeout_s=WAIT_S) for request in requests]
    assert await asyncio.gather(*calls) == requests


async def test_a_server_that_retires_connections_all_the_time_loses_no_call() -> None:
    echo, server = Echo(), Server(ServerLimits(age_s_max=0.01), chance=lambda: 0.5)
    server.add_generic_rpc_handlers((echo.handler,))
    channel = Channel(await server.listen("127.0.0.1:0"))
    while len(echo.peers) < 5:
        await call_together(channel)
    await channel.close()
    await server.stop(0)
