"""A gRPC server on the running loop: sockets and handlers in, connections served."""

import asyncio
import socket
import ssl as tls
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from types import MappingProxyType

import grpc

from server.status_code import Code
from server.transport.grpc.methods import Methods, RpcHandler
from server.transport.held_bytes import HeldBytes
from server.transport.limit_log import LimitLog
from server.transport.serving.connection import ServerConnection
from server.transport.serving.last_words import LINGER_S
from server.transport.serving.limits import ServerLimits
from server.transport.serving.tally import Tally, TooLarge, bare
from server.transport.sockets.accepting import Accepting
from server.transport.sockets.listen import listen
from server.transport.sockets.peer_name import counted_address, written_address
from server.transport.sockets.tls import why_failed

# For the handlers of calls that were cut off: to clean up, not to go on.
_CLEAN_UP_S = 5.0
# For handshakes that have begun when the server is told to stop: so that each peer is told to go
# elsewhere. Without TLS that is a matter of microseconds.
GREET_S = 1.0


def _nothing() -> None:
    """Nobody asked to be told."""


class Server:
    """Takes handlers as add_XServicer_to_server gives them, before it listens."""

    def __init__(
        self,
        limits: ServerLimits | None = None,
        *,
        chance: Callable[[], float],
        on_ended: Callable[[], None] = _nothing,
        message_bytes_max: Mapping[str, int] = MappingProxyType({}),
        clock: Callable[[], float] = perf_counter,
        too_large: TooLarge = bare,
    ) -> None:
        """`on_ended` is called for each connection that ended, or came to nothing in `adopt`.

        `message_bytes_max` has the paths of methods whose requests may have less, or more, than the
        limits say; `too_large` gives metadata for the refusal of one, by its words. `clock`
        measures turns.
        """
        limits = limits or ServerLimits()
        log = LimitLog(asyncio.get_running_loop().call_later)
        self._tally = Tally(limits, log, clock, too_large)
        self._chance = chance
        self._on_ended = on_ended
        self._methods = Methods(limits.message_bytes_max, message_bytes_max)
        self._live: set[ServerConnection] = set()
        self._accepting: list[Accepting] = []
        self._greeting: set[asyncio.Task[None]] = set()  # of connections that were accepted
        self._left = asyncio.Event()  # a connection has ended

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        self._methods.add_generic(handlers)

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, RpcHandler]
    ) -> None:
        self._methods.register(service, handlers)

    @property
    def limits_reached(self) -> Mapping[str, int]:
        """How often each limit was reached, by its name."""
        return self._tally.limits_reached

    @property
    def held(self) -> HeldBytes:
        """What is held for peers, by whoever holds it."""
        return self._tally.held

    @property
    def connections(self) -> int:
        """Open now, or in a handshake of `adopt`."""
        return self._tally.places.taken

    @property
    def streams(self) -> int:
        """Open now: calls, and what is left of those that were answered."""
        return self._tally.streams.open

    @property
    def calls(self) -> int:
        """Begun since the start."""
        return self._tally.calls

    def connected(self) -> ServerConnection:
        """The protocol of one new connection."""
        return ServerConnection(
            self._methods, self._tally, self._live, chance=self._chance(), on_ended=self._ended
        )

    async def listen(self, address: str, ssl: tls.SSLContext | None = None) -> str:
        """Accepts on host:port, [::1]:port or unix:PATH; returns the address with its free port.

        Raises ListenError.
        """
        listener = listen(address)

        def take(sock: socket.socket) -> None:
            task = asyncio.create_task(self.adopt(sock, ssl))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

        self._accepting.append(Accepting(listener, take))
        return listener.address

    async def adopt(self, sock: socket.socket, ssl: tls.SSLContext | None = None) -> None:
        """Takes over a connection that somebody else accepted; returns after the handshake.

        One too many gets no handshake.
        """
        loop, connection = asyncio.get_running_loop(), self.connected()
        name: object = None
        timeout_s = self._tally.limits.handshake_s_max if ssl else None
        try:
            name = sock.getpeername()
            if ssl and connection.admit(counted_address(name)):
                raise ConnectionRefusedError
            await loop.connect_accepted_socket(
                lambda: connection, sock, ssl=ssl, ssl_handshake_timeout=timeout_s
            )
        except OSError as error:  # ssl.SSLError is one, and so is a peer that has left
            if ssl:
                self._note_failure("unknown" if name is None else written_address(name), error)
            connection.dismiss()
            sock.close()
            self._on_ended()

    def _note_failure(self, peer: str, error: OSError) -> None:
        """Of a handshake, unless it was we who refused it: that is counted by its own limit."""
        if isinstance(error, ConnectionAbortedError):  # as both loops say that its time is over
            self._tally.count_limit("handshake", peer)
        elif not isinstance(error, ConnectionRefusedError):
            self._tally.log.log_handshake(peer, why_failed(error))

    async def stop(self, grace_s: float) -> None:
        """Takes no more connections, lets calls end, then ends those that are left."""
        self._tally.is_stopping = True
        while self._accepting:
            self._accepting.pop().close()
        if self._greeting:  # those just accepted are told to go elsewhere
            await asyncio.wait(self._greeting, timeout=GREET_S)
        for connection in list(self._live):
            connection.retire()
        await self._emptied(grace_s)
        for connection in list(self._live):
            connection.end(Code.UNAVAILABLE, "the server stops")
        await self._emptied(2 * LINGER_S)
        for connection in list(self._live):
            connection.abort()
        for task in self._greeting:
            task.cancel()
        if self._tally.tasks:
            await asyncio.wait(self._tally.tasks, timeout=_CLEAN_UP_S)

    async def _emptied(self, timeout_s: float) -> None:
        """Waits until no connection is left, so long at most."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline_s):
                while self._live:
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            return

    def _ended(self) -> None:
        self._left.set()
        self._on_ended()
