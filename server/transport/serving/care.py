"""Looks after a connection from time to time, and does what is due."""

import asyncio
from collections.abc import Callable

from server.status_code import Code
from server.transport.http2.events import PingAcknowledged
from server.transport.http2.frames import NUMBER_MAX
from server.transport.serving.calls import Calls
from server.transport.serving.stalls import Outflow, Stalls
from server.transport.serving.tally import Tally
from server.transport.serving.watch import Action, Due, Look, Watch

_RETIRING, _ALIVE = b"retiring", b"alive?\0\0"


class Care:
    """Asks for signs of life, retires, and gives up whoever keeps us waiting."""

    def __init__(
        self,
        calls: Calls,
        tally: Tally,
        watch: Watch,
        *,
        is_behind: Callable[[], bool],
        end: Callable[[Code, str], None],
        give_way: Callable[[str], None],
    ) -> None:
        """`is_behind` says whether something waits to be handled; the others end the connection."""
        self._link = calls.link
        self._calls = calls
        self._tally = tally
        self._watch = watch
        self._stalls = Stalls(tally.limits.stall_s_max, now_s=self._link.loop.time())
        self._is_behind = is_behind
        self._end = end
        self._give_way = give_way
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False

    def begin(self) -> None:
        """Looks again and again, until it is over."""
        if self._is_over:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._link.loop.call_later(self._watch.look_s, self._look)

    def stop(self) -> None:
        """The connection has ended."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def retire(self) -> None:
        """Asks the peer to make new calls elsewhere; those that it makes meanwhile are served."""
        if self._watch.retire(self._link.loop.time()):
            self._link.connection.goaway(last_stream_id=NUMBER_MAX)
            self._link.connection.ping(_RETIRING)
            self._link.flush()
            self.begin()

    def take_ping_answer(self, event: PingAcknowledged) -> None:
        """The peer has answered a ping, which may be the one behind our GOAWAY."""
        if event.payload == _RETIRING:
            self._leave()

    def _leave(self) -> None:
        """Takes no more calls; the connection ends with the last that it has."""
        if self._watch.leave():
            self._link.connection.goaway()
            self._link.flush_soon()

    def _look(self) -> None:
        now_s = self._link.loop.time()
        self._calls.end_overdue(now_s)
        self._watch.called_s = max(self._watch.called_s, self._calls.called_s)
        if self._has_stalled(now_s):
            self._give_way("stall")
            return
        look = Look(
            self._link.connection.open_streams,
            self._link.is_congested,
            self._is_behind(),
            self._calls.lasting,
        )
        self._do(self._watch.look(look, now_s=now_s))

    def _do(self, due: Due) -> None:
        if due.action is Action.GIVE_UP:
            self._give_way(due.limit)
            return
        if due.limit:
            self._tally.count_limit(due.limit, self._link.peer)
        if due.action is Action.END:
            self._end(Code.UNAVAILABLE, "the connection has retired")
            return
        if due.action is Action.END_OTHERS:
            self._calls.end_short(Code.UNAVAILABLE, "the connection has retired")
        self.begin()
        if due.action is Action.PING:
            self._link.connection.ping(_ALIVE)
            self._link.flush()
        elif due.action is Action.RETIRE:
            self.retire()
        elif due.action is Action.LEAVE:
            self._leave()

    def _has_stalled(self, now_s: float) -> bool:
        """Ends streams whose readers have stalled; true if that of the whole connection has."""
        link, http2 = self._link, self._link.connection
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
