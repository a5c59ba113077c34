"""One connection to an endpoint and the calls that are out on it."""

import asyncio
from collections.abc import Callable
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast, get_args

from server.status_code import Code
from server.transport.channel.call import ClientCall
from server.transport.channel.keepalive import Act, Silence
from server.transport.channel.limits import ChannelLimits
from server.transport.grpc.answer import CallFailed, reset_failure, says_status
from server.transport.http2.connection import Connection
from server.transport.http2.errors import ErrorCode, NoStreamFree
from server.transport.http2.events import (
    ConnectionEnded,
    DataReceived,
    Event,
    GoAwayReceived,
    Headers,
    HeadersReceived,
    SettingsChanged,
    StreamReset,
    StreamWritable,
    TrailersReceived,
)
from server.transport.loop.intake import Intake
from server.transport.loop.link import Link
from server.transport.loop.turns import AT_ONCE_S, TURN_S

if TYPE_CHECKING:
    from server.transport.channel.pool import ConnectionPool

_PING = b"turnout."  # the eight bytes of a PING say nothing
_EVENTS: tuple[type, ...] = get_args(Event)


class ClientConnection(asyncio.Protocol):
    """Takes calls from its peer's SETTINGS on until a GOAWAY, or its end."""

    def __init__(
        self,
        pool: "ConnectionPool",
        limits: ChannelLimits,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """`clock` measures turns."""
        self._loop = asyncio.get_running_loop()
        self._pool = pool
        self._limits = limits
        self._calls: dict[int, ClientCall] = {}
        self._http2 = Connection(client=True)
        self._link = Link(self._http2, self._loop, self._on_flushed)
        self._clock = clock
        handlers: dict[type, Callable[[Any], None]] = {
            **dict.fromkeys(_EVENTS, self._on_other),
            HeadersReceived: self._on_head,
            DataReceived: self._on_data,
            TrailersReceived: self._on_trailers,
        }
        self._intake = Intake(self._http2, handlers, clock)
        self._waits_for_turn = False
        self._heard_s = self._loop.time()
        self._silence = Silence(limits.keepalive, now_s=self._heard_s)
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
        return len(self._calls)

    @property
    def _waiting_bytes(self) -> int:
        return self._http2.held_bytes + self._link.buffered_bytes

    async def ready(self) -> None:
        """Returns when calls can be made; raises ConnectionError."""
        await self._greeted.wait()
        if self._why_over:
            raise ConnectionError(self._why_over)

    def open(self, call: ClientCall) -> bool:
        """Begins the call if there is room for it."""
        if len(self._calls) >= self._limits.calls:
            return False
        if call.large_bytes and self._waiting_bytes + call.large_bytes > self._limits.waiting_bytes:
            return False
        try:
            stream_id = call.open(self._link)
        except NoStreamFree:
            return False
        self._calls[stream_id] = call
        call.place, call.stream_id = self, stream_id
        self._link.flush_soon()
        if stream_id > self._last_stream_id:
            self._retire()
        if self._tick_timer is None:
            self.was_used = True
            self._silence.begun(self._loop.time())
            self._tick()
        return True

    def leave(self, call: ClientCall) -> None:
        """The call is cancelled at the peer."""
        del self._calls[call.stream_id]
        self._http2.reset(call.stream_id, ErrorCode.CANCEL)
        self._link.flush_soon()
        self._freed()

    def end(self, code: Code, reason: str) -> None:
        """Says goodbye and closes the socket; calls that are out fail so."""
        if not self._why_over:
            self._why_over = reason
            self._greeted.set()
            self._retire()
            self._fail_all(code, reason)
            self._say_goodbye()

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link.transport = cast(asyncio.Transport, transport)
        self._link.flush()
        self._pool.opened(self)

    def data_received(self, data: bytes) -> None:
        now_s = self._heard_s = self._loop.time()
        self._silence.heard(now_s)
        if self._waits_for_turn:
            self._intake.add(data, now_s)
            return
        self._intake.begin(data, now_s)
        self._handle(AT_ONCE_S)

    def pause_writing(self) -> None:
        self._link.is_congested = True

    def resume_writing(self) -> None:
        self._link.resume()
        for call in self._calls.values():
            call.on_writable()
        self._pool.freed()

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
        self._pool.lost(self)

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

    def _on_head(self, event: HeadersReceived) -> None:
        if self._silence.pings:
            self._silence.ended(self._heard_s)
        stream_id, headers, end_stream = event
        if end_stream and says_status(headers):
            self._on_end(stream_id, headers)
        elif (call := self._calls.get(stream_id)) is not None:  # else it has left
            try:
                call.on_head(headers)
            except CallFailed as failure:
                call.fail(failure)
            if end_stream:
                self._on_end(stream_id, ())

    def _on_data(self, event: DataReceived) -> None:
        if self._silence.pings:
            self._silence.ended(self._heard_s)
        stream_id, data, flow_bytes, end_stream = event
        if (call := self._calls.get(stream_id)) is not None:
            try:
                if taken_bytes := call.on_data(data, flow_bytes):
                    self._http2.consumed(stream_id, taken_bytes)
            except CallFailed as failure:
                call.fail(failure)
            if end_stream:
                self._on_end(stream_id, ())

    def _on_trailers(self, event: TrailersReceived) -> None:
        if self._silence.pings:
            self._silence.ended(self._heard_s)
        self._on_end(event.stream_id, event.headers)

    def _on_end(self, stream_id: int, trailers: Headers) -> None:
        call = self._calls.pop(stream_id, None)
        if call is not None:
            call.place = None
            self._http2.reset(stream_id, ErrorCode.CANCEL)  # nobody wants what was not sent
            self._freed()
            try:
                call.on_end(trailers)
            except CallFailed as failure:
                call.fail(failure)

    def _on_other(self, event: Event) -> None:
        if isinstance(event, StreamReset):
            self._on_reset(event)
        elif isinstance(event, StreamWritable):
            self._on_writable(event)
        elif isinstance(event, SettingsChanged):
            self._greeted.set()
            self._pool.freed()
        elif isinstance(event, GoAwayReceived):
            self._retire()
            self._freed()
        elif isinstance(event, ConnectionEnded):
            self._broken(event)

    def _on_writable(self, event: StreamWritable) -> None:
        if (call := self._calls.get(event.stream_id)) is not None:
            call.on_writable()
        self._link.flush_soon()
        self._loop.call_soon(self._pool.freed)  # when what was let go is written

    def _on_reset(self, event: StreamReset) -> None:
        call = self._calls.pop(event.stream_id, None)
        if call is None:
            return
        call.place = None
        if event.code == ErrorCode.REFUSED_STREAM and call.again():
            self._pool.begin(call)
        else:
            call.fail(_failure(event))
        self._freed()

    # What becomes of it.

    def _on_flushed(self) -> None:
        """What was sent may have reached a limit, or let a call go on."""
        if (ended := self._http2.ended) is not None and not self._why_over:
            self._broken(ended)
        if self._http2.writable:
            writable, self._http2.writable = self._http2.writable, []
            for event in writable:
                self._on_writable(event)

    def _broken(self, ended: ConnectionEnded) -> None:
        """The peer has broken HTTP/2, or reached one of its limits."""
        if ended.limit and not self._why_over:
            self._pool.reached(ended.limit)
        self._give_up(f"HTTP/2 failed: {ended.reason}")

    def _give_up(self, reason: str) -> None:
        """Ends it, and at once if the peer reads too little to hear why: calls wait for another."""
        self.end(Code.UNAVAILABLE, reason)
        if self._link.is_congested and self._link.transport is not None:
            self._link.transport.abort()

    def _freed(self) -> None:
        if self._is_retired and not self._calls:
            self.end(Code.UNAVAILABLE, "the connection was closed")
        self._pool.freed()

    def _retire(self) -> None:
        """Takes no more calls; those that are out go on."""
        if not self._is_retired:
            self._is_retired = True
            self._pool.retired(self)

    def _fail_all(self, code: Code, reason: str) -> None:
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.place = None
            call.fail(CallFailed(code, reason))
        self._pool.freed()

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
        if not self._calls:
            self._tick_timer = None
            return
        act, next_s = self._silence.step(self._loop.time())
        if act is Act.GIVE_UP:
            self._pool.reached("keepalive")
            self._give_up("the peer is silent: it does not answer a ping")
            return
        if act is Act.PING:
            self._http2.ping(_PING)
            self._link.flush_soon()
        self._tick_timer = self._loop.call_at(next_s, self._tick)


def _failure(event: StreamReset) -> CallFailed:
    """A stream that the peer has broken says of the peer what a broken connection says."""
    if not event.error or event.code == ErrorCode.ENHANCE_YOUR_CALM:  # that is a limit of ours
        return reset_failure(event.code)
    return CallFailed(Code.UNAVAILABLE, f"HTTP/2 failed: {event.error}")
