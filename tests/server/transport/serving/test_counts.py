"""What a server says it holds."""

import asyncio

import grpc

from server.transport.serving.server import Server
from tests.contract.caller import TIMEOUT_S, unary
from tests.contract.service import TestService


async def test_streams_are_those_of_calls_that_are_out() -> None:
    server, service = Server(chance=lambda: 0.5), TestService()
    server.add_generic_rpc_handlers((service.handlers(),))
    address = await server.listen("127.0.0.1:0")
    async with grpc.aio.insecure_channel(address) as channel, asyncio.timeout(TIMEOUT_S):
        call = unary(channel, "Wait")
        await service.waiting.wait()
        assert (server.connections, server.streams) == (1, 1)
        call.cancel()
        await service.cancelled.wait()
        assert (server.connections, server.streams) == (1, 0)
    await server.stop(0)
