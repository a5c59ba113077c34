"""A worker's door for OpenAI clients: its connections are those that the supervisor accepted."""

import asyncio
import random
import socket
from collections.abc import Callable

import structlog

from server.app.handed_listener import worker_limits
from server.app.large_chats import LargeChats
from server.app.settings import DRAIN_S, Settings
from server.app.tls import keep_fresh
from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import CHAT, EMBEDDINGS
from server.door.door import Answer, Door
from server.door.service import DoorService
from server.named_files.tls import tls_files
from server.routing.router import Router
from server.transport.held_bytes import HeldBytes
from server.transport.serving.server import GREET_S
from server.transport.sockets.hand_over import Taker
from server.transport.sockets.tls import HTTP_1, Certificates

_log = structlog.get_logger()


class DoorListener:
    """The door, on the connections that the supervisor accepted."""

    def __init__(
        self, settings: Settings, connections_fd: int, answer: Answer, held: HeldBytes | None
    ) -> None:
        """What its peers hold counts in `held`, with what callers of gRPC hold.

        None where grpcio serves those, and counts nothing.
        """
        held = held or _held(settings)
        self.door = Door(answer, held, chance=random.random, on_ended=self._ended)
        self._taker = Taker(socket.socket(fileno=connections_fd), self._take)
        self._adopting: set[asyncio.Task[None]] = set()
        self._refreshing: asyncio.Task[None] | None = None  # as long as it listens
        self._certificates: Certificates | None = None
        if settings.tls is not None and not (settings.openai_address or "").startswith("unix:"):
            self._certificates = Certificates(tls_files(settings.tls), HTTP_1)

    def start(self) -> Door:
        """Takes connections from now on."""
        if self._certificates is not None:
            self._refreshing = asyncio.create_task(keep_fresh(self._certificates))
        self._taker.start()
        return self.door

    async def stop(self) -> None:
        """Sees what was asked through, on connections handed over just now too."""
        self._taker.stop()
        if self._adopting:
            await asyncio.wait(self._adopting, timeout=GREET_S)
        _log.info(
            "draining the door",
            connections=self.door.connections,
            limits_reached=dict(self.door.limits_reached),
        )
        await self.door.stop(DRAIN_S)
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._taker.close()

    def _take(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        context = None if self._certificates is None else self._certificates.context
        task = asyncio.create_task(self.door.adopt(connection, ssl=context))
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    def _ended(self) -> None:
        self._taker.report_end()


def answer_of(
    router: Router,
    dispatcher: Dispatcher,
    large_chats: LargeChats,
    on_refused: Callable[[str], None],
    now_s: Callable[[], float],
) -> Answer:
    """What a worker answers at its door."""
    return DoorService(
        router,
        dispatcher,
        {CHAT: large_chats.read, EMBEDDINGS: large_chats.read_embeddings},
        on_refused,
        now_s=now_s,
        chance=random.random,
    ).answer


def _held(settings: Settings) -> HeldBytes:
    limits = worker_limits(settings.worker_memory_mib)
    return HeldBytes(bytes_max=limits.held_bytes_max, in_all_max=limits.held_bytes_in_all_max)
