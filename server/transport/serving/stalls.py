"""Finds readers who keep us waiting: of a whole connection, and of single streams.

What a stream's own window holds back is that stream's matter, all else the connection's.
"""

from collections.abc import Mapping
from typing import NamedTuple

# What a slow reader has to take in `stall_s_max`: what a kernel buffers for the slowest of links.
STALL_BYTES = 64 * 2**10
# The same of one stream that its own window holds back: one of many has its share of a link.
STREAM_STALL_BYTES = 4 * 2**10


class Outflow(NamedTuple):
    """How far all that is sent has got, at one moment."""

    waits: bool  # bytes wait for the kernel to take them, or for the connection's window
    written_bytes: int  # ever, to the socket
    arrived_bytes: int  # ever, of these, that the peer's machine has taken
    data_bytes: int  # ever, of messages, that the peer's windows let through
    # Streams whose data waits, each with what it ever let through.
    streams: Mapping[int, int]
    own: frozenset[int]  # those among them that wait for a window of their own

    @property
    def is_under_way(self) -> bool:
        """Whether the peer may not know of all that was written: a slow link, or a slow reader."""
        return self.arrived_bytes < self.written_bytes


class Stalled(NamedTuple):
    """Who has taken too little for too long."""

    streams: tuple[int, ...]
    connection: bool


class _Waiting(NamedTuple):
    """A stream that waits, for whichever window: one that changes between the two gains nothing."""

    sent_bytes: int  # by it, when its time began
    written_bytes: int  # by all: so much has to arrive before the peer can answer with a window
    since_s: float | None  # that it has arrived


class Stalls:
    """Is shown how things flow, again and again; never reads a clock.

    What the peer says is no progress, however often: only bytes are that it takes.
    """

    __slots__ = ("_arrived_bytes", "_data_bytes", "_since_s", "_stall_s", "_streams")

    def __init__(self, stall_s: float, *, now_s: float) -> None:
        self._stall_s = stall_s
        self._since_s = now_s  # the connection was last quick enough
        self._arrived_bytes = self._data_bytes = 0  # then
        self._streams: dict[int, _Waiting] = {}

    def look(self, flow: Outflow, *, now_s: float) -> Stalled:
        """Who is to be given up now."""
        if not flow.waits or self._took_enough(flow):
            self._since_s = now_s
            self._arrived_bytes, self._data_bytes = flow.arrived_bytes, flow.data_bytes
        is_over = now_s - self._since_s >= self._stall_s
        return Stalled(self._stalled_streams(flow, now_s), is_over)

    def _took_enough(self, flow: Outflow) -> bool:
        """While bytes are under way no window can open for them, so it is those that count."""
        if flow.is_under_way:
            return flow.arrived_bytes - self._arrived_bytes >= STALL_BYTES
        return flow.data_bytes - self._data_bytes >= STALL_BYTES

    def _stalled_streams(self, flow: Outflow, now_s: float) -> tuple[int, ...]:
        self._streams = {
            stream_id: self._waiting(stream_id, sent_bytes, flow, now_s)
            for stream_id, sent_bytes in flow.streams.items()
        }
        return tuple(
            stream_id
            for stream_id, (_, _, since_s) in self._streams.items()
            if stream_id in flow.own and since_s is not None and now_s - since_s >= self._stall_s
        )

    def _waiting(self, stream_id: int, sent_bytes: int, flow: Outflow, now_s: float) -> _Waiting:
        before = self._streams.get(stream_id)
        if before is None or sent_bytes - before.sent_bytes >= STREAM_STALL_BYTES:
            before = _Waiting(sent_bytes, flow.written_bytes, None)
        if before.since_s is None and flow.arrived_bytes >= before.written_bytes:
            return before._replace(since_s=now_s)
        return before
