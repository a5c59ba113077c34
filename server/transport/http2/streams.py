"""The streams of a connection (RFC 9113, 5.1): the open ones, and what is known of the rest."""

from server.transport.http2 import frames
from server.transport.http2.errors import ErrorCode, NoStreamFree, StreamFault
from server.transport.http2.frames import NUMBER_MAX, long_frame
from server.transport.http2.inflow import Inflow
from server.transport.http2.sender import Sender
from server.transport.http2.states import (
    AFTER_RECEIVED_END,
    CLOSED,
    HALF_CLOSED_REMOTE,
    State,
)
from server.transport.http2.stream import Stream

# Frames of a stream that we reset may be on their way for a round trip; so may those of as many.
RESETS_REMEMBERED = 1_000
# Stretches of numbers that the peer left out: they only make an error more exact.
GAPS_REMEMBERED = 64
# Streams that a client may open before it has read the server's SETTINGS: what RFC 9113 wants a
# server to allow at least.
STREAMS_UNTIL_SETTINGS = 100
# A connection may have so many when all have too many together: those who take all that they can do
# not keep others from being served.
STREAMS_ALWAYS = 4


class StreamsInAll:
    """How many are open on all connections of a server together."""

    __slots__ = ("most", "open")

    def __init__(self, most: int = NUMBER_MAX) -> None:
        self.most = most
        self.open = 0


class StreamTable(dict[int, Stream]):
    """The open streams by number; and of closed ones, as much as frames that come late need."""

    def __init__(
        self, sender: Sender, inflow: Inflow, in_all: StreamsInAll, *, client: bool
    ) -> None:
        super().__init__()
        self.in_all = in_all
        self.last_own = -1 if client else 0  # the highest number opened by us
        self.last_peer = 0 if client else -1  # and by the peer
        self.own_max = STREAMS_UNTIL_SETTINGS  # how many of ours the peer allows at once
        self.last_accepted = NUMBER_MAX  # what our GOAWAY said: none above it is processed
        self.going_away = False  # either end wants no more of them
        self._own_parity = 1 if client else 0
        self._sender = sender
        self._inflow = inflow
        self._reset: dict[int, None] = {}  # by us, oldest first
        self._reset_forgotten = 0  # the highest that was dropped
        self._gaps: list[range] = []  # oldest first

    def state(self, stream_id: int) -> State:
        """Of any number; 0, which is the connection's, stays idle for ever."""
        stream = self.get(stream_id)
        if stream is not None:
            return stream.state
        is_own = stream_id & 1 == self._own_parity
        if not stream_id or stream_id > (self.last_own if is_own else self.last_peer):
            return State.IDLE
        if any(stream_id in gap for gap in self._gaps):
            return State.SKIPPED
        was_reset = stream_id in self._reset or stream_id <= self._reset_forgotten
        return State.RESET if was_reset else State.CLOSED

    def peer_opens(self, stream_id: int) -> None:
        """From now on, no number up to this is idle."""
        if stream_id > self.last_peer + 2:
            self._gaps = [*self._gaps[1 - GAPS_REMEMBERED :], range(self.last_peer + 2, stream_id)]
        self.last_peer = stream_id

    @property
    def free(self) -> int:
        """How many of our own may be opened now."""
        left = (NUMBER_MAX - self.last_own) // 2
        return 0 if self.going_away else min(self.own_max - len(self), left)

    def open(self, receive_window: int) -> Stream:
        """The next of our own; raises NoStreamFree."""
        if self.going_away:
            raise NoStreamFree("the connection takes no new streams")
        if len(self) >= self.own_max:
            raise NoStreamFree(f"the peer allows {self.own_max} streams at once")
        if self.last_own + 2 > NUMBER_MAX:
            raise NoStreamFree("every number of a stream is used: a new connection is needed")
        self.last_own += 2
        return self.add(self.last_own, receive_window)

    def add(self, stream_id: int, receive_window: int) -> Stream:
        """A new stream."""
        stream = Stream(stream_id, self._sender.stream_window, receive_window)
        self[stream_id] = stream
        self.in_all.open += 1
        return stream

    def peer_ends(self, stream: Stream) -> None:
        """Nothing more comes of it; raises StreamFault if more was promised."""
        if stream.content_left > 0:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, "less DATA than content-length says")
        stream.state = AFTER_RECEIVED_END[stream.state]
        if stream.state is CLOSED:
            self.remove(stream)

    def remove(self, stream: Stream) -> None:
        """It is closed: nothing waits of it, and it holds nothing of the connection's window."""
        del self[stream.id]
        stream.state = CLOSED
        self.in_all.open -= 1
        if stream.queue:
            self._sender.forget(stream)
        if stream.unreturned_bytes:
            self._inflow.discard(stream.unreturned_bytes)

    def reset(self, stream: Stream, code: int) -> None:
        """Ends it for both."""
        if stream.state is not HALF_CLOSED_REMOTE:
            self.discard_rest(stream.id)
        self.remove(stream)
        self._sender.output.signal(long_frame(frames.RST_STREAM, stream.id, code))

    def end(self) -> None:
        """The connection is over."""
        self.in_all.open -= len(self)
        self.clear()
        self.going_away = True

    def discard_rest(self, stream_id: int) -> None:
        """What still comes of it is no error."""
        self._reset[stream_id] = None
        if len(self._reset) > RESETS_REMEMBERED:
            oldest = next(iter(self._reset))
            del self._reset[oldest]
            self._reset_forgotten = max(self._reset_forgotten, oldest)
