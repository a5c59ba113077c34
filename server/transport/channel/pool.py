"""The connections to one endpoint: made when they are needed, made again when they break."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress

from server.status_code import Code
from server.transport.channel.backoff import Backoff
from server.transport.channel.call import ClientCall
from server.transport.channel.choice import (
    Growth,
    Standing,
    WithoutRoom,
    choose,
    growth,
    without_room,
)
from server.transport.channel.connection import ClientConnection
from server.transport.channel.dialing import open_socket, why_failed
from server.transport.channel.limits import ChannelLimits
from server.transport.channel.waiting_calls import WaitingCalls
from server.transport.grpc.answer import CallFailed, NeverSent
from server.transport.sockets.address import Address
from server.transport.sockets.tls import speaks_h2

_CLOSED = "the channel was closed"


class ConnectionPool:
    """Finds a place for every call, or tells it why there is none."""

    def __init__(
        self,
        address: Address,
        tls: Callable[[], ssl.SSLContext] | None,
        limits: ChannelLimits,
        chance: Callable[[], float],
        on_limit: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._tls = tls
        self._limits = limits
        self._backoff = Backoff(chance)
        self.count_limit = on_limit
        self._why_down = ""  # what the last attempt met
        self._taking: list[ClientConnection] = []  # that take calls, oldest first
        self._open: set[ClientConnection] = set()  # and those that have not ended yet
        self._waiting = WaitingCalls(self.use_room)
        self._connecting: asyncio.Task[None] | None = None
        self._idle: asyncio.Event | None = None  # made when the pool is to close

    def begin(self, call: ClientCall) -> None:
        """Puts the call on a connection, or makes it wait for one; or it fails, soon."""
        connection = choose(self._taking, call.large_bytes)
        if connection is not None:
            connection.begin(call)
            return
        fate = without_room(self._standing, self._limits)
        if fate is WithoutRoom.UNREACHABLE:
            self._fail_soon(call, Code.UNAVAILABLE, self._why_down)
        elif fate is WithoutRoom.BEHIND:
            self.count_limit("waiting_calls")
            self._fail_soon(call, Code.RESOURCE_EXHAUSTED, "too many calls wait for the endpoint")
        else:
            self._waiting.enter(call)
            self._grow()

    def use_room(self) -> None:
        """There may be room for a call that waits, or no call any more."""
        while self._waiting and self._start(self._waiting.first):
            pass
        if self._idle is not None and not self._calls_left:
            self._idle.set()

    def drop(self, connection: ClientConnection) -> None:
        """The connection takes no more calls."""
        if connection not in self._taking:
            return
        self._taking.remove(connection)
        if not connection.was_used:  # or calls that it has no room for would make one after another
            self._failed("it ends connections before they are of use")
        self._grow()

    def forget(self, connection: ClientConnection) -> None:
        """The connection's socket is closed."""
        self._open.discard(connection)
        self._grow()

    async def close(self, grace_s: float) -> None:
        """Gives calls that are out so long, fails the rest, and leaves no socket open.

        Closing again, with less time, ends what was given more.
        """
        self._idle = self._idle or asyncio.Event()
        if self._calls_left:
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._idle.wait()
        self._idle.set()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        # Only now: until here a call that its peer has refused may have come back to wait.
        for call in self._waiting.take_all():
            call.fail(_without_connection(call, Code.CANCELLED, _CLOSED))
        ending = list(self._open)
        for connection in ending:
            connection.end(Code.CANCELLED, _CLOSED)
        for connection in ending:
            await connection.closed.wait()

    @property
    def _calls_left(self) -> bool:
        return bool(self._waiting) or any(one.calls_out for one in self._open)

    @property
    def _standing(self) -> Standing:
        return Standing(
            taking=len(self._taking),
            open=len(self._open),
            waiting=len(self._waiting),
            is_connecting=self._connecting is not None,
            is_backing_off=self._loop.time() < self._backoff.until_s,
        )

    def _start(self, call: ClientCall) -> bool:
        """Puts a call that waits on a connection, if there is room."""
        connection = choose(self._taking, call.large_bytes)
        if connection is None:
            return False
        del self._waiting[call]  # first: the connection may retire with it, and fail who waits
        connection.begin(call)
        return True

    def _grow(self) -> None:
        """Makes another connection if calls wait for one and it may be made."""
        due = growth(self._standing, self._limits)
        if due is Growth.CONNECT:
            self._connecting = self._loop.create_task(self._connect())
        elif due is Growth.GIVE_UP:
            self._fail_waiting()

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._limits.connect_s):
                connection = await self._dial()
        except (OSError, ValueError) as error:  # the second: a host that is no name
            self._connecting = None
            if isinstance(error, TimeoutError):
                self.count_limit("connect")
            self._failed(why_failed(error))
            if not self._taking:
                self._fail_waiting()
        else:
            self._connecting = None
            self._backoff.note_success()
            self._taking.append(connection)
            self.use_room()
            self._grow()

    async def _dial(self) -> ClientConnection:
        """A connection that is ready; raises OSError."""
        tls = None if self._tls is None else self._tls()
        connection = ClientConnection(self, self._limits)
        self._open.add(connection)
        try:
            transport = await open_socket(connection, self._address, tls)
        except BaseException:
            self.forget(connection)  # uvloop does not tell of one that is given up so early
            raise
        try:
            if not speaks_h2(transport.get_extra_info("ssl_object")):
                raise ConnectionError("its TLS does not offer HTTP/2 (ALPN h2)")
            await connection.ready()
        except BaseException:
            connection.end(Code.UNAVAILABLE, "the connection was given up")
            raise
        return connection

    def _failed(self, why: str) -> None:
        self._backoff.note_failure(self._loop.time())
        self._why_down = f"the endpoint cannot be reached: {why}"

    def _fail_soon(self, call: ClientCall, code: Code, reason: str) -> None:
        """In the next turn of the loop: whoever tries again at once lets others run."""
        self._loop.call_soon(call.fail, _without_connection(call, code, reason))

    def _fail_waiting(self) -> None:
        for call in self._waiting.take_all():
            call.fail(_without_connection(call, Code.UNAVAILABLE, self._why_down))
        self.use_room()


def _without_connection(call: ClientCall, code: Code, reason: str) -> CallFailed:
    """A call that was refused before had a stream, and all of it may have left on that."""
    return (CallFailed if call.stream_id else NeverSent)(code, reason)
