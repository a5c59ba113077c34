"""One connection of a server: an asyncio protocol around HTTP/2 and the calls that it carries."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from server.status_code import Code
from server.transport.grpc.methods import Methods
from server.transport.http2.connection import Connection
from server.transport.http2.errors import ErrorCode
from server.transport.http2.events import PingAcknowledged, StreamRefused
from server.transport.loop.intake import Intake
from server.transport.loop.link import TURN_BYTES, Link
from server.transport.loop.turns import AT_ONCE_S, TURN_S
from server.transport.serving.calls import Calls
from server.transport.serving.care import Care
from server.transport.serving.holding import Holding
from server.transport.serving.last_words import LastWords
from server.transport.serving.tally import Tally
from server.transport.serving.watch import Watch
from server.transport.sockets.peer_name import counted_address, written_address
from server.transport.sockets.tls import peer_names, speaks_h2

# Beyond this much that the kernel does not take, we stop reading: more calls would be more answers.
WRITE_BUFFER_BYTES = 256 * 2**10


class ServerConnection(asyncio.Protocol):
    """Serves from the accepted socket to its end, whatever the peer does."""

    def __init__(
        self,
        methods: Methods,
        tally: Tally,
        live: "set[ServerConnection]",
        *,
        chance: float,
        on_ended: Callable[[], None],
    ) -> None:
        """Is in `live` while it serves; `chance` in [0, 1) says at which age it retires."""
        self._loop = asyncio.get_running_loop()
        self._tally = tally
        self._live = live
        self._on_ended = on_ended
        self._http2 = Connection(
            client=False, limits=tally.limits.http2, streams_in_all=tally.streams
        )
        self._link = Link(self._http2, self._loop, self._settle)
        self._calls = Calls(self._link, tally, methods)
        self._watch = Watch(tally.limits, chance=chance, now_s=self._loop.time())
        self._care = Care(
            self._calls,
            tally,
            self._watch,
            is_behind=lambda: self._waits_for_turn,
            end=self.end,
            give_way=self.give_way,
        )
        handlers: dict[type, Callable[[Any], None]] = {
            **self._calls.handlers,
            PingAcknowledged: self._care.take_ping_answer,
            StreamRefused: self._refused,
        }
        self._turns = tally.turns
        self._intake = Intake(self._http2, handlers, self._turns.clock, self._calls.note_arrival)
        self._holding = Holding(tally.held, self.give_way)
        self._last_words = LastWords(self._loop, tally.limits.stall_s_max)
        self._waits_for_turn = False
        self._is_paused = False  # reading
        self._transport: asyncio.Transport | None = None
        self._address: str | None = None  # that it is counted by, once it is admitted
        self._is_shut = False  # what comes is not listened to any more

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's does not say so
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._transport = self._link.transport = transport
        name = transport.get_extra_info("peername")
        self._link.peer = written_address(name)
        self._link.flow = self._turns.join(counted_address(name))
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._holding.has_tls()
            self._link.peer_certificate = peer_names(tls.getpeercert())
        if not speaks_h2(tls):
            self._tally.log.log_handshake(self._link.peer, "no agreement on HTTP/2 (ALPN h2)")
            transport.abort()
        elif not (limit := self.admit(counted_address(name))):
            self._live.add(self)
            self._link.flush()
            self._care.begin()
            if self._tally.is_stopping:
                self.retire()
        else:
            self._turn_away(limit)

    def data_received(self, data: bytes) -> None:
        if self._is_shut:
            return
        now_s = self._loop.time()
        self._watch.received_s = now_s
        if len(data) > self._holding.burst_bytes:
            self._holding.grow(len(data))
        turns = self._turns
        if turns.is_free and not self._waits_for_turn:
            began_s = turns.clock()
            self._intake.begin(data, now_s)
            self._handle(began_s + AT_ONCE_S)
            turns.charge_at_once(self._link.flow, turns.clock() - began_s)
        else:
            self._intake.add(data, now_s)
            self._holding.count(
                self._link.held_bytes + self._intake.waiting_bytes, self._http2.open_streams
            )
            self._ask_for_turn()

    def pause_writing(self) -> None:
        self._link.is_congested = True
        self._set_reading()

    def resume_writing(self) -> None:
        self._link.resume()
        self._set_reading()
        self._link.wake_all()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._is_shut = True
        self._transport = self._link.transport = None
        self._calls.cancel()
        self._intake.close()
        self._http2.close()
        self._turns.leave(self._link.flow)
        self._holding.release()
        self._care.stop()
        self._last_words.cancel()
        self._live.discard(self)
        self.dismiss()
        self._on_ended()

    # What the server calls.

    def admit(self, address: str) -> str:
        """Counts it in, once; names the limit that turns it away, if one does."""
        if self._address is None:
            if limit := self._tally.admit(address):
                return limit
            self._address = address
        return ""

    def dismiss(self) -> None:
        """Counts it out, if it was counted in."""
        if self._address is not None:
            self._tally.places.leave(self._address)
            self._address = None

    def retire(self) -> None:
        """Asks the peer to make new calls elsewhere; those that it makes meanwhile are served."""
        self._care.retire()

    def end(self, code: Code, message: str) -> None:
        """Ends all calls with this status, and the connection."""
        self._calls.interrupt(code, message)
        self._http2.goaway()
        self._link.flush()
        self._shut()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def give_way(self, limit: str) -> None:
        """Ends a connection that has reached a limit; one that is ending has no more time."""
        if self._is_shut:
            self.abort()
            return
        self._tally.count_limit(limit, self._link.peer)
        self._is_shut = True  # the last words are not to reach it once more
        self._calls.interrupt(Code.RESOURCE_EXHAUSTED, "the connection has reached a limit")
        self._turn_away(limit)

    # How it takes turns.

    def _handle(self, until_s: float) -> None:
        """Handles what came; what is left at `until_s` waits for the next turn."""
        calls, link = self._calls, self._link
        link.is_reading = True
        is_done = self._intake.handle(until_s)
        link.is_reading = False
        calls.arm()
        link.flush()
        if not is_done:
            self._ask_for_turn()
        elif self._is_paused:
            self._set_reading()

    def _ask_for_turn(self) -> None:
        """Once; what comes until then waits with the rest."""
        if self._is_shut:
            return
        if not self._waits_for_turn:
            self._waits_for_turn = True
            self._turns.ask(self._link.flow, self._take_turn)
        self._set_reading()

    def _take_turn(self) -> None:
        self._waits_for_turn = False
        try:
            self._handle(self._turns.clock() + TURN_S)
        except BaseException:  # as the loop does when `data_received` raises
            self.abort()
            raise

    def _set_reading(self) -> None:
        """We read on, unless the peer does not read or has sent more than we get round to."""
        is_paused = self._link.is_congested or self._intake.waiting_bytes > TURN_BYTES
        if is_paused is self._is_paused or self._transport is None or self._is_shut:
            return
        self._is_paused = is_paused
        if is_paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # What becomes of it.

    def _turn_away(self, limit: str) -> None:
        """Tells the peer which limit was reached, and closes."""
        self._http2.goaway(ErrorCode.ENHANCE_YOUR_CALM, debug=limit.encode())
        self._link.flush()
        self._shut()

    def _settle(self) -> None:
        """Looks at what a flush leaves behind."""
        if self._is_shut:
            return
        if self._http2.writable:
            for event in self._http2.take_writable():
                self._calls.wake(event)
            self._link.flush_soon()
        if self._http2.ended is not None:
            self._broken(self._http2.ended.limit)
        elif self._watch.has_left and not self._http2.open_streams and not self._link.is_congested:
            self._shut()  # not before the last answer is with the kernel
        else:
            self._holding.count(
                self._link.held_bytes + self._intake.waiting_bytes, self._http2.open_streams
            )

    def _broken(self, limit: str) -> None:
        """The peer has broken HTTP/2, or reached one of its limits; the GOAWAY was written."""
        if limit:
            self._tally.count_limit(limit, self._link.peer)
        self._shut()

    def _refused(self, event: StreamRefused) -> None:
        self._tally.count_limit(event.limit, self._link.peer)

    def _shut(self) -> None:
        """Closes, once the peer has had the time to read why."""
        self._is_shut = True
        self._calls.cancel()
        self._intake.close()
        self._http2.close()
        self._link.transport = None  # nothing is said after the last word
        self._care.stop()
        if self._transport is None:
            return
        # What is written and not taken is there until the socket is closed.
        self._holding.count(self._transport.get_write_buffer_size(), self._http2.open_streams)
        if self._link.is_congested:
            self._transport.abort()
            return
        if self._is_paused:  # what is not read would make the kernel take our last words back
            self._transport.resume_reading()
        self._last_words.wait(self._transport)
