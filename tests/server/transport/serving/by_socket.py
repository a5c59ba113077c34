"""Servers that are given their connections."""

import asyncio
import socket

import grpc

from server.transport.grpc.methods import RpcHandler
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import Server
from tests.server.transport.serving.raw_caller import (
    SERVICE,
    Servicer,
    echo,
)


def server(
    servicer: Servicer = echo, limits: ServerLimits | None = None, *, ended: asyncio.Event
) -> Server:
    made = Server(limits, chance=lambda: 0.5, on_ended=ended.set)
    handlers: dict[str, RpcHandler] = {"Echo": grpc.unary_unary_rpc_method_handler(servicer)}
    made.add_registered_method_handlers(SERVICE, handlers)
    return made


def pair() -> tuple[socket.socket, socket.socket]:
    """The caller's end of a connection, and the server's."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    return ours, theirs


def over_tcp(listening: socket.socket) -> tuple[socket.socket, socket.socket]:
    """The caller's end of a connection, and the server's, which has the address of the caller."""
    ours = socket.create_connection(listening.getsockname())
    theirs, _ = listening.accept()
    for end in (ours, theirs):
        end.setblocking(False)
    return ours, theirs


async def accepted(made: Server) -> socket.socket:
    """The caller's end of a connection that the server was given."""
    ours, theirs = pair()
    await made.adopt(theirs)
    return ours
