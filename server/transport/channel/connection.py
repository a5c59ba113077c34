"""One connection to an endpoint and the calls that are out on it."""

import asyncio
from collections.abc import Callable
from math import inf
from time import perf_counter
from typing import Any, Protocol, cast

from server.status_code import Code
from server.transport.channel.call import ClientCall
from server.transport.channel.calls import Calls
from server.transport.channel.keepalive import Action, Silence
from server.transport.channel.limits import ChannelLimits
from server.transport.http2.connection import Connection
from server.transport.http2.events import (
    ConnectionEnded,
    GoAwayReceived,
    SettingsChanged,
    StreamWritable,
)
from server.transport.loop.intake import Intake
from server.transport.loop.link import Link
from server.transport.loop.turns import AT_ONCE_S, TURN_S

_PING = b"turnout."  # the eight bytes of a PING say nothing


class Owner(Protocol):
    """Whoever makes connections for calls: a pool."""

    @property
    def count_limit(self) -> Callable[[str], None]:
        """Counts a limit of ours that ended a connection, by its name."""

    def begin(self, call: ClientCall) -> None:
        """The peer has not processed the call: it is made again."""

    def use_room(self) -> None:
        """There may be room for a call, or no call any more."""

    def drop(self, connection: "ClientConnection") -> None:
        """The connection takes no more calls."""

    def forget(self, connection: "ClientConnection") -> None:
        """The connection's socket is closed."""


class ClientConnection(asyncio.Protocol):
    """Takes calls from its peer's SETTINGS on until a GOAWAY, or its end."""

    def __init__(
        self,
        owner: Owner,
        limits: ChannelLimits,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """`clock` measures turns."""
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._limits = limits
        self._http2 = Connection(client=True)
        self._link = Link(self._http2, self._loop, self._on_flushed)
        self._clock = clock
        self._silence = Silence(limits.keepalive, now_s=self._loop.time())
        self._calls = Calls(
            self._link,
            self._silence,
            on_last=self._end_if_retired,
            on_ended=owner.use_room,
            again=owner.begin,
        )
        handlers: dict[type, Callable[[Any], None]] = {
            **self._calls.handlers,
            StreamWritable: self._on_writable,
            SettingsChanged: self._greet,
            GoAwayReceived: self._take_leave,
            ConnectionEnded: self._broken,
        }
        self._intake = Intake(self._http2, handlers, clock)
        self._waits_for_turn = False
        self._tick_timer: asyncio.TimerHandle | None = None
        self._abort_timer: asyncio.TimerHandle | None = None
        self._last_stream_id = 2 * limits.calls_ever - 2  # those above it are the last
        self._is_retired = False
        self._greeted = asyncio.Event()  # its SETTINGS came, or it is over
        self._why_over = ""
        self.was_used = False  # a call was made
        self.closed = asyncio.Event()  # the socket is

    @property
    def calls_out(self) -> int:
        return len(self._calls.out)

    async def ready(self) -> None:
        """Returns when calls can be made; raises ConnectionError."""
        await self._greeted.wait()
        if self._why_over:
            raise ConnectionError(self._why_over)

    @property
    def streams_free(self) -> int:
        """How many more calls may begin now."""
        return min(self._limits.calls - len(self._calls.out), self._http2.streams_free)

    @property
    def bytes_free(self) -> int:
        """What a large request may have."""
        waiting_bytes = self._http2.held_bytes + self._link.buffered_bytes
        return self._limits.waiting_bytes - waiting_bytes

    def begin(self, call: ClientCall) -> None:
        """Sends the call; raises NoStreamFree."""
        if self._calls.begin(call) > self._last_stream_id:
            self._retire()
        if self._tick_timer is None:
            self.was_used = True
            self._silence.note_call(self._loop.time())
            self._tick()

    def end(self, code: Code, reason: str) -> None:
        """Says goodbye and closes the socket; calls that are out fail so."""
        if not self._why_over:
            self._why_over = reason
            self._greeted.set()
            self._retire()
            self._calls.fail_all(code, reason)
            self._owner.use_room()
            self._say_goodbye()

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link.transport = cast(asyncio.Transport, transport)
        self._link.flush()

    def data_received(self, data: bytes) -> None:
        now_s = self._loop.time()
        self._silence.note_word(now_s)
        if self._waits_for_turn:
            self._intake.add(data, now_s)
            return
        self._intake.begin(data, now_s)
        self._handle(AT_ONCE_S)

    def pause_writing(self) -> None:
        self._link.is_congested = True

    def resume_writing(self) -> None:
        self._link.resume()
        self._calls.wake_all()
        self._owner.use_room()

    def connection_lost(self, error: Exception | None) -> None:
        try:
            self._intake.handle(inf)  # an answer may be in what it said last
        finally:
            self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        self._intake.close()
        self._link.transport = None
        self.end(Code.UNAVAILABLE, f"the connection broke: {error or 'the peer closed it'}")
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        self.closed.set()
        self._owner.forget(self)

    # What the peer says.

    def _handle(self, turn_s: float) -> None:
        """A turn's worth of what came; while more waits, nothing is read."""
        is_done = self._intake.handle(self._clock() + turn_s)
        if not is_done:
            self._loop.call_soon(self._take_turn)
        if is_done is self._waits_for_turn:
            self._waits_for_turn = not is_done
            self._set_reading()
        # So what callers say next, now that they are answered, leaves in the same write.
        self._link.flush_soon()

    def _take_turn(self) -> None:
        try:
            self._handle(TURN_S)
        except BaseException:  # as the loop does when `data_received` raises
            if self._link.transport is not None:
                self._link.transport.abort()
            raise

    def _set_reading(self) -> None:
        transport = self._link.transport
        if transport is None or transport.is_closing():
            return
        if self._waits_for_turn:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _greet(self, _event: SettingsChanged) -> None:
        self._greeted.set()
        self._owner.use_room()

    def _take_leave(self, _event: GoAwayReceived) -> None:
        self._retire()
        if not self._calls.out:
            self._end_if_retired()
        self._owner.use_room()

    def _on_writable(self, event: StreamWritable) -> None:
        self._calls.wake(event)
        self._link.flush_soon()
        self._loop.call_soon(self._owner.use_room)  # when what was let go is written

    # What becomes of it.

    def _on_flushed(self) -> None:
        """What was sent may have reached a limit, or let a call go on."""
        if (ended := self._http2.ended) is not None and not self._why_over:
            self._broken(ended)
        if self._http2.writable:
            for event in self._http2.take_writable():
                self._on_writable(event)

    def _broken(self, ended: ConnectionEnded) -> None:
        """The peer has broken HTTP/2, or reached one of its limits."""
        if ended.limit and not self._why_over:
            self._owner.count_limit(ended.limit)
        self._give_up(f"HTTP/2 failed: {ended.reason}")

    def _give_up(self, reason: str) -> None:
        """Ends it, and at once if the peer reads too little to hear why: calls wait for another."""
        self.end(Code.UNAVAILABLE, reason)
        if self._link.is_congested and self._link.transport is not None:
            self._link.transport.abort()

    def _end_if_retired(self) -> None:
        """No call is out, and it may be that none comes any more."""
        if self._is_retired:
            self.end(Code.UNAVAILABLE, "the connection was closed")

    def _retire(self) -> None:
        """Takes no more calls; those that are out go on."""
        if not self._is_retired:
            self._is_retired = True
            self._owner.drop(self)

    def _say_goodbye(self) -> None:
        if self._tick_timer is not None:
            self._tick_timer.cancel()
        transport = self._link.transport
        if transport is not None:
            self._http2.goaway()
            self._link.flush()
            transport.close()
            self._abort_timer = self._loop.call_later(self._limits.goodbye_s, transport.abort)
        self._http2.close()

    def _tick(self) -> None:
        """Looks after the peer while calls are out."""
        if not self._calls.out:
            self._tick_timer = None
            return
        action, next_s = self._silence.step(self._loop.time())
        if action is Action.GIVE_UP:
            self._owner.count_limit("keepalive")
            self._give_up("the peer is silent: it does not answer a ping")
            return
        if action is Action.PING:
            self._http2.ping(_PING)
            self._link.flush_soon()
        self._tick_timer = self._loop.call_at(next_s, self._tick)
