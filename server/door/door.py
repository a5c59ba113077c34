"""The door: takes connections that somebody else accepted, and sees their requests through."""

import asyncio
import contextlib
import socket
import ssl as tls
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from server.door.connection import DoorConnection
from server.door.limits import DoorLimits
from server.door.tally import DoorTally
from server.transport.held_bytes import HeldBytes
from server.transport.sockets.peer_name import counted_address, written_address
from server.transport.sockets.tls import why_failed

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
# For a stream's last words, which is a packet: who does not take them in time is cut off.
_LAST_WORDS_S = 1.0
# For the answers of those who were cut off: to clean up, not to go on. With both, a process that
# drains stays within the time that it is given.
_CLEAN_UP_S = 3.0


def _nothing() -> None:
    """Nobody asked to be told."""


class Door:
    """Of one worker."""

    def __init__(
        self,
        answer: Answer,
        held: HeldBytes,
        limits: DoorLimits | None = None,
        *,
        chance: Callable[[], float],
        on_ended: Callable[[], None] = _nothing,
    ) -> None:
        """`on_ended` is called for each connection that ended, or came to nothing in `adopt`."""
        self._tally = DoorTally(limits or DoorLimits(), held)
        # Whoever leaves is not answered any more: upstream is told at once.
        self._server = web.Server(answer, handler_cancellation=True)
        self._chance = chance
        self._on_ended = on_ended
        self._live: set[DoorConnection] = set()
        self._left = asyncio.Event()  # a connection has ended

    @property
    def limits_reached(self) -> Mapping[str, int]:
        """How often each limit was reached, by its name."""
        return self._tally.limits_reached

    @property
    def connections(self) -> int:
        """Open now, or in a handshake."""
        return self._tally.places.taken

    @property
    def requests(self) -> int:
        """Begun since the start."""
        return self._tally.requests

    async def adopt(self, sock: socket.socket, ssl: tls.SSLContext | None = None) -> None:
        """Takes a connection over; returns after the handshake. One too many gets none."""
        loop, connection = asyncio.get_running_loop(), self._connected()
        name: object = None
        try:
            name = sock.getpeername()
            if ssl and (limit := connection.admit(counted_address(name))):
                self._tally.count_limit(limit, written_address(name))
                raise ConnectionRefusedError
            await loop.connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=ssl,
                ssl_handshake_timeout=self._tally.limits.handshake_s_max if ssl else None,
            )
        except OSError as error:  # ssl.SSLError is one, and so is a peer that has left
            if ssl:
                self._note_failure("unknown" if name is None else written_address(name), error)
            connection.dismiss()
            sock.close()
            self._ended()

    async def stop(self, grace_s: float) -> None:
        """Lets what was asked be answered, then ends what is left: streams are told of it."""
        self._tally.is_stopping = True
        for connection in list(self._live):
            connection.retire()
        await self._emptied(grace_s)
        for connection in list(self._live):
            connection.break_off()
        await self._emptied(_LAST_WORDS_S)
        for connection in list(self._live):
            connection.abort()
        await self._emptied(_CLEAN_UP_S)

    def _connected(self) -> DoorConnection:
        return DoorConnection(
            self._server, self._tally, self._live, chance=self._chance(), on_ended=self._ended
        )

    def _note_failure(self, peer: str, error: OSError) -> None:
        """Of a handshake, unless it was we who refused it: that is counted by its own limit."""
        if isinstance(error, ConnectionAbortedError):  # as both loops say that its time is over
            self._tally.count_limit("handshake", peer)
        elif not isinstance(error, ConnectionRefusedError):
            self._tally.log.log_handshake(peer, why_failed(error))

    async def _emptied(self, timeout_s: float) -> None:
        """Waits until no connection is left, so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._live:
                    self._left.clear()
                    await self._left.wait()

    def _ended(self) -> None:
        self._left.set()
        self._on_ended()
