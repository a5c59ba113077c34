"""One stream (RFC 9113, 5.1), and what waits on it for its turn."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from server.transport.http2.fields import NO_LENGTH
from server.transport.http2.hpack.table import Header
from server.transport.http2.states import HALF_CLOSED_LOCAL, OPEN


class WaitingHead(NamedTuple):
    """A head or trailers behind data that waits; encoded when its turn comes, as HPACK needs."""

    headers: Sequence[Header]
    end_stream: bool


class WaitingData(NamedTuple):
    """Data that waits for a window, or for room in a write."""

    data: memoryview
    end_stream: bool

    @property
    def kept_bytes(self) -> int:
        """Of all that the data is a part of: it stays as long as any part of it does."""
        return memoryview(self.data.obj).nbytes


class Stream:
    """One exchange, until both have ended it."""

    __slots__ = (
        "content_left",
        "head_received",
        "id",
        "queue",
        "receive_window",
        "send_window",
        "sent_bytes",
        "state",
        "unreturned_bytes",
        "waiting_bytes",
    )

    def __init__(self, stream_id: int, send_window: int, receive_window: int) -> None:
        self.id = stream_id
        self.send_window = send_window
        self.sent_bytes = 0  # of data, unless all went in one go
        self.receive_window = receive_window
        self.state = OPEN  # one that is idle or closed is in no table
        self.head_received = False
        self.content_left = NO_LENGTH  # of content-length
        self.unreturned_bytes = 0  # received and not consumed yet
        self.queue: deque[WaitingHead | WaitingData] | None = None  # made when something waits
        self.waiting_bytes = 0

    def check_has_no_end(self) -> None:
        """Raises ValueError if we have said all: its end was sent, or waits with the rest."""
        if self.state is HALF_CLOSED_LOCAL or (self.queue and self.queue[-1].end_stream):
            raise ValueError(f"stream {self.id} was ended before: nothing more can be sent")
