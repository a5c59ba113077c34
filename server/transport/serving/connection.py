"""One connection of a server: an asyncio protocol around HTTP/2 and the calls that it carries."""

import asyncio
import math
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any, cast

from server.status_code import Code
from server.transport.grpc.methods import Methods
from server.transport.http2.connection import Connection
from server.transport.http2.errors import ErrorCode
from server.transport.http2.events import PingAcknowledged, StreamRefused
from server.transport.http2.frames import NUMBER_MAX
from server.transport.loop.intake import Intake
from server.transport.loop.link import TURN_BYTES, Link
from server.transport.loop.turns import AT_ONCE_S, TURN_S
from server.transport.serving.calls import Calls
from server.transport.serving.stalls import Outflow, Stalls
from server.transport.serving.tally import Tally
from server.transport.serving.watch import Act, Look, Verdict, Watch
from server.transport.sockets.tls import speaks_h2

# A peer that is told why its connection ends may still be sending: closed at once, the kernel
# would take back what the peer has not read.
LINGER_S = 1.0
# What a connection takes that holds nothing, and so the step in which held bytes are counted.
HELD_STEP_BYTES = 16 * 2**10
# What TLS takes beside: the loop and OpenSSL hold as much as the largest burst, each.
TLS_BYTES = 48 * 2**10
TLS_COPIES = 2
# What an open stream takes with its call, beside what it holds.
STREAM_BYTES = 4 * 2**10
# Beyond this much that the kernel does not take, we stop reading: more calls would be more answers.
WRITE_BUFFER_BYTES = 256 * 2**10
_RETIRING, _ALIVE = b"retiring", b"alive?\0\0"


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
        handlers: dict[type, Callable[[Any], None]] = {
            **self._calls.handlers,
            PingAcknowledged: self._acknowledged,
            StreamRefused: self._refused,
        }
        self._turns = tally.turns
        self._intake = Intake(self._http2, handlers, self._turns.clock, self._calls.came)
        self._own_bytes = 0  # that TLS takes
        self._burst_bytes = math.inf  # the largest that TLS has brought
        self._waits_for_turn = False
        self._is_paused = False  # reading
        self._watch = Watch(tally.limits, chance=chance, now_s=self._loop.time())
        self._stalls = Stalls(tally.limits.stall_s_max, now_s=self._loop.time())
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._address: str | None = None  # that it is counted by, once it is admitted
        self._held_bytes = 0
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
            self._own_bytes, self._burst_bytes = TLS_BYTES, 0
        if not speaks_h2(tls):
            self._tally.log.handshake_failed(self._link.peer, "no agreement on HTTP/2 (ALPN h2)")
            transport.abort()
        elif not (limit := self.admit(counted_address(name))):
            self._live.add(self)
            self._link.flush()
            self._look_again(self._watch.look_s)
            if self._tally.is_stopping:
                self.retire()
        else:
            self._turn_away(limit)

    def data_received(self, data: bytes) -> None:
        if self._is_shut:
            return
        now_s = self._loop.time()
        self._watch.received_s = now_s
        if len(data) > self._burst_bytes:
            self._burst_bytes = len(data)
            self._own_bytes = TLS_BYTES + TLS_COPIES * len(data)
        turns = self._turns
        if turns.is_free and not self._waits_for_turn:
            began_s = turns.clock()
            self._intake.begin(data, now_s)
            self._handle(began_s + AT_ONCE_S)
            turns.charge_at_once(self._link.flow, turns.clock() - began_s)
        else:
            self._intake.add(data, now_s)
            self._hold(self._link.held_bytes + self._intake.waiting_bytes)
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
        self._release()
        if self._timer is not None:
            self._timer.cancel()
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
            self._tally.leave(self._address)
            self._address = None

    def retire(self) -> None:
        """Asks the peer to make new calls elsewhere; those that it makes meanwhile are served."""
        if self._watch.retire(self._loop.time()):
            self._http2.goaway(last_stream_id=NUMBER_MAX)
            self._http2.ping(_RETIRING)
            self._link.flush()
            self._look_again(self._watch.look_s)

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
        self._tally.reached(limit, self._link.peer)
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
            writable, self._http2.writable = self._http2.writable, []
            for event in writable:
                self._calls.wake(event)
            self._link.flush_soon()
        if self._http2.ended is not None:
            self._broken(self._http2.ended.limit)
        elif self._watch.has_left and not self._http2.open_streams and not self._link.is_congested:
            self._shut()  # not before the last answer is with the kernel
        else:
            self._hold(self._link.held_bytes + self._intake.waiting_bytes)

    def _hold(self, held_bytes: int) -> None:
        """Counted in steps, rounded up, with what its streams and the connection itself take."""
        held_bytes += self._own_bytes + self._http2.open_streams * STREAM_BYTES
        in_steps = held_bytes - held_bytes % HELD_STEP_BYTES + HELD_STEP_BYTES
        if in_steps != self._held_bytes:
            self._held_bytes = in_steps
            self._tally.held.hold(self.give_way, in_steps)

    def _release(self) -> None:
        """It holds nothing any more."""
        self._held_bytes = 0
        self._tally.held.hold(self.give_way, 0)

    def _broken(self, limit: str) -> None:
        """The peer has broken HTTP/2, or reached one of its limits; the GOAWAY was written."""
        if limit:
            self._tally.reached(limit, self._link.peer)
        self._shut()

    def _acknowledged(self, event: PingAcknowledged) -> None:
        if event.payload == _RETIRING:
            self._leave()

    def _refused(self, event: StreamRefused) -> None:
        self._tally.reached(event.limit, self._link.peer)

    def _leave(self) -> None:
        """Takes no more calls; the connection ends with the last that it has."""
        if not self._watch.has_left:
            self._watch.has_left = True
            self._http2.goaway()
            self._link.flush_soon()

    def _look(self) -> None:
        now_s = self._loop.time()
        if self._waits_for_turn:  # what it said last may lie in what we do not read yet
            self._watch.received_s = now_s
        self._calls.end_overdue(now_s)
        self._watch.called_s = max(self._watch.called_s, self._calls.called_s)
        if self._has_stalled(now_s):
            self.give_way("stall")
            return
        look = Look(self._http2.open_streams, self._link.is_congested)
        self._act(self._watch.look(look, now_s=now_s))

    def _act(self, verdict: Verdict) -> None:
        if verdict.act is Act.GIVE_UP:
            self.give_way(verdict.limit)
            return
        if verdict.limit:
            self._tally.reached(verdict.limit, self._link.peer)
        if verdict.act is Act.END:
            self.end(Code.UNAVAILABLE, "the connection has retired")
            return
        self._look_again(self._watch.look_s)
        if verdict.act is Act.PING:
            self._http2.ping(_ALIVE)
            self._link.flush()
        elif verdict.act is Act.RETIRE:
            self.retire()
        elif verdict.act is Act.LEAVE:
            self._leave()

    def _has_stalled(self, now_s: float) -> bool:
        """Ends streams whose readers have stalled; true if that of the whole connection has."""
        link, http2 = self._link, self._http2
        streams, own = http2.held_back()
        flow = Outflow(
            waits=link.is_congested or http2.waits_for_connection,
            written_bytes=link.written_bytes,
            arrived_bytes=link.arrived_bytes,
            data_bytes=http2.data_bytes,
            streams=streams,
            own=own,
        )
        stalled = self._stalls.look(flow, now_s=now_s)
        for stream_id in stalled.streams:
            self._calls.end_stalled(stream_id)
        return stalled.connection

    def _look_again(self, after_s: float) -> None:
        if self._is_shut:  # the timer is that of its last words
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(after_s, self._look)

    def _shut(self) -> None:
        """Closes, once the peer has had the time to read why."""
        self._is_shut = True
        self._calls.cancel()
        self._intake.close()
        self._http2.close()
        self._link.transport = None  # nothing is said after the last word
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is None:
            return
        # What is written and not taken is there until the socket is closed.
        self._hold(self._transport.get_write_buffer_size())
        if self._link.is_congested:
            self._transport.abort()
            return
        if self._is_paused:  # what is not read would make the kernel take our last words back
            self._transport.resume_reading()
        try:
            if self._transport.can_write_eof():
                self._transport.write_eof()
        except OSError:  # the peer is gone, and has answered our last words with a reset
            self._transport.abort()
            return
        self._timer = self._loop.call_later(LINGER_S, self._close)

    def _close(self) -> None:
        """What is written is still sent, if the peer takes it."""
        if self._transport is not None:
            self._transport.close()
            self._timer = self._loop.call_later(self._tally.limits.stall_s_max, self.abort)


def counted_address(name: object) -> str:
    """What the connections of a peer of this name are counted by; on a Unix socket nothing.

    Of IPv6 the network of 64 bits: within it, a single machine takes as many addresses as it likes.
    """
    if not isinstance(name, tuple):
        return ""
    host = str(name[0])
    if ":" not in host:
        return host
    address = IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def written_address(name: object) -> str:
    """The name of a peer as gRPC writes it."""
    if not isinstance(name, tuple):
        return f"unix:{name or ''}"
    host, port = name[:2]
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
