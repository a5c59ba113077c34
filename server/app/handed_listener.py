"""A worker's listener on our transport: its connections are those that the supervisor accepted."""

import asyncio
import random
import socket
from typing import cast

import grpc
import structlog

from server.app.memory import give_back_what_is_freed
from server.app.settings import DRAIN_S, Settings
from server.app.tls import keep_fresh
from server.named_files.tls import tls_files
from server.rpc.errors import too_large_metadata
from server.rpc.method_limits import MESSAGE_BYTES_MAX, PAYLOAD_BYTES_MAX
from server.transport.serving.limits import ServerLimits
from server.transport.serving.server import GREET_S, Server
from server.transport.sockets.hand_over import Taker
from server.transport.sockets.tls import Certificates

# A little above our own limits, whose errors say more.
_ABOVE_BYTES = 64 * 2**10
WIRE_BYTES_MAX = PAYLOAD_BYTES_MAX + 2**20 + _ABOVE_BYTES
BYTES_MAX_BY_PATH = {path: most + _ABOVE_BYTES for path, most in MESSAGE_BYTES_MAX.items()}
# What is held is two thirds of a worker's memory: the interpreter takes 50 MiB, and what was freed
# does not all go back to the system.
_HELD_PART = 2 / 3
# One peer may hold half of that at most, and as much as two of the largest messages need.
_HELD_FOR_ONE_BYTES = 256 * 2**20
_log = structlog.get_logger()


class HandedListener:
    """Our transport, on the connections that the supervisor accepted."""

    def __init__(self, settings: Settings, connections_fd: int) -> None:
        limits = worker_limits(settings.worker_memory_mib)
        self.transport = Server(
            limits,
            chance=random.random,
            on_ended=self._ended,
            message_bytes_max=BYTES_MAX_BY_PATH,
            too_large=too_large_metadata,
        )
        # It takes servicers as grpcio's does, and this is all that anyone does with it.
        self.server = cast("grpc.aio.Server", self.transport)
        self._address = settings.data_address
        self._taker = Taker(socket.socket(fileno=connections_fd), self._take)
        self._adopting: set[asyncio.Task[None]] = set()
        self._beside: list[asyncio.Task[None]] = []  # as long as it listens
        self._certificates: Certificates | None = None
        if settings.tls is not None and not self._address.startswith("unix:"):
            self._certificates = Certificates(tls_files(settings.tls))

    async def start(self) -> str:
        """Takes connections from now on; returns where the supervisor accepts them."""
        beside = [give_back_what_is_freed(lambda: self.transport.held.in_all)]
        if self._certificates is not None:
            beside.append(keep_fresh(self._certificates))
        self._beside = [asyncio.create_task(one) for one in beside]
        self._taker.start()
        return self._address

    async def stop(self) -> None:
        """Sees the calls of all connections through, those handed over just now among them."""
        self._taker.stop()
        if self._adopting:
            await asyncio.wait(self._adopting, timeout=GREET_S)
        _log.info(
            "draining connections",
            connections=self.transport.connections,
            streams=self.transport.streams,
            tasks=len(asyncio.all_tasks()) - 1 - len(self._beside),  # but for this one
            limits_reached=dict(self.transport.limits_reached),
        )
        await self.transport.stop(DRAIN_S)
        for task in self._beside:
            task.cancel()
        self._taker.close()

    def _take(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        context = None if self._certificates is None else self._certificates.context
        task = asyncio.create_task(self.transport.adopt(connection, ssl=context))
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    def _ended(self) -> None:
        self._taker.report_end()


def worker_limits(memory_mib: int) -> ServerLimits:
    """What a worker's peers may take, for it to stay within so much memory."""
    held_bytes = int(_HELD_PART * memory_mib * 2**20)
    return ServerLimits(
        message_bytes_max=WIRE_BYTES_MAX,
        held_bytes_max=min(_HELD_FOR_ONE_BYTES, held_bytes // 2),
        held_bytes_in_all_max=held_bytes,
    )
