"""What is on its way to the peer: output that can be written now, and data that waits its turn.

Data waits for the peer's windows and for room, which is ours: how much of it one write may carry.
Streams whose data waits take turns, a frame each, so that none starves another.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from server.transport.http2 import frames
from server.transport.http2.blocks import header_frames
from server.transport.http2.errors import ConnectionFault, ErrorCode, StreamFault, limit_reached
from server.transport.http2.floods import TINY_FRAME_BYTES, Floods
from server.transport.http2.frames import NUMBER_MAX, frame_head, pack_head
from server.transport.http2.hpack.encoder import Encoder
from server.transport.http2.hpack.table import Header
from server.transport.http2.limits import FRAME_BYTES_MIN, WINDOW_BYTES_MIN, Limits
from server.transport.http2.output import ROOM_BYTES, Output
from server.transport.http2.states import AFTER_SENT_END
from server.transport.http2.stream import Stream, WaitingData, WaitingHead

# A peer may allow frames of 16 MB; in such a turn no other stream would be served for long.
TURN_BYTES_MAX = 65_536
# What is sent in one go, as most answers are, needs no room until there is so much output.
OUTPUT_BYTES = 2 * ROOM_BYTES


Whole: TypeAlias = tuple[Sequence[Header], bytes | memoryview]  # a head, and all of its data


class Sender:
    """The sending half of a connection: windows, turns and the output."""

    def __init__(self, output: Output, limits: Limits, floods: Floods) -> None:
        self.output = output
        self.encoder = Encoder()
        self.window = WINDOW_BYTES_MIN  # of the connection
        self._opened_bytes = WINDOW_BYTES_MIN  # of it, ever
        self.stream_window = WINDOW_BYTES_MIN  # that a new stream begins with
        self.waiting_bytes = 0  # data that waits, of all streams
        self.kept_bytes = 0  # of all that it is a part of
        self._waiting: dict[int, Stream] = {}  # that have a queue
        self.ready: OrderedDict[int, Stream] = OrderedDict()  # and a window of their own
        self._frame_bytes_max = FRAME_BYTES_MIN
        self._limits = limits
        self._floods = floods

    @property
    def data_bytes(self) -> int:
        """Of DATA, ever, that the windows let through."""
        return self._opened_bytes - self.window

    @property
    def waits_for_connection(self) -> bool:
        """Whether data waits that only the connection's window holds back."""
        return bool(self.ready) and self.window <= 0

    def drop(self) -> None:
        """What waits will not be sent."""
        for stream in list(self._waiting.values()):
            self.forget(stream)

    def headers(self, stream: Stream, headers: Sequence[Header], end_stream: bool) -> None:
        """A head or trailers, behind what waits of the stream's data."""
        if stream.queue:
            stream.queue.append(WaitingHead(headers, end_stream))
        else:
            self._write_headers(stream, headers, end_stream)

    def data(self, stream: Stream, data: bytes | memoryview, end_stream: bool) -> None:
        """What can be written now is output; the rest waits, behind those that waited before."""
        if not data and not end_stream:
            return
        left = memoryview(data)
        if not stream.queue:
            if not (data and self.ready):
                left = self._write_data(stream, left, end_stream=end_stream)
                if not left:
                    return
            stream.queue = deque()
            self._waiting[stream.id] = stream
        waiting = WaitingData(left, end_stream)
        stream.queue.append(waiting)
        self.kept_bytes += waiting.kept_bytes
        stream.waiting_bytes += len(left)
        self.waiting_bytes += len(left)
        self._make_ready(stream)
        most = self._limits.waiting_bytes
        if self.waiting_bytes > most and self._beyond_windows > most:
            raise limit_reached("data waits for a window", "waiting_bytes")

    def whole(self, stream: Stream, message: Whole, trailers: Sequence[Header]) -> None:
        """Head, data and end: in one go, unless the data has to be cut."""
        head, data = message
        size = len(data)
        if (
            size > self.window
            or size > stream.send_window
            or size > FRAME_BYTES_MIN
            or self.output.size > OUTPUT_BYTES
        ):
            self._in_parts(stream, message, trailers)
            return
        stream_id = stream.id
        end = 0 if trailers else frames.END_STREAM
        octets = b"".join(
            (
                header_frames(stream_id, self.encoder.encode(head), 0),
                pack_head(size >> 8, size & 0xFF, frames.DATA, end, stream_id),
                data,
                header_frames(stream_id, self.encoder.encode(trailers), frames.END_STREAM)
                if trailers
                else b"",
            )
        )
        self.window -= size
        stream.send_window -= size
        stream.state = AFTER_SENT_END[stream.state]
        self._floods.data_frames += 1
        self.output.write(octets)

    def _in_parts(self, stream: Stream, message: Whole, trailers: Sequence[Header]) -> None:
        head, data = message
        self.headers(stream, head, False)
        self.data(stream, data, not trailers)
        if trailers:
            self.headers(stream, trailers, True)

    def forget(self, stream: Stream) -> None:
        """The stream is gone, and what waited of it."""
        self.waiting_bytes -= stream.waiting_bytes
        stream.waiting_bytes = 0
        for item in stream.queue or ():
            if isinstance(item, WaitingData):
                self.kept_bytes -= item.kept_bytes
        stream.queue = None
        self._waiting.pop(stream.id, None)
        self.ready.pop(stream.id, None)

    def open_window(self, increment: int) -> None:
        """The peer takes so much more, on all streams together."""
        self.window += increment
        self._opened_bytes += increment
        if self.window > NUMBER_MAX:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the window is above 2^31-1")

    def open_stream_window(self, stream: Stream, increment: int) -> None:
        """The peer takes so much more on this stream."""
        stream.send_window += increment
        if stream.send_window > NUMBER_MAX:
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, "a stream's window is above 2^31-1")
        self._make_ready(stream)

    def initial_windows(self, sizes: Sequence[int], streams: Iterable[Stream]) -> None:
        """The peer chose these one after another, for streams old and new; the last is in force."""
        most, last = (size - self.stream_window for size in (max(sizes), sizes[-1]))
        for stream in streams:
            if stream.send_window + most > NUMBER_MAX:
                raise ConnectionFault(
                    ErrorCode.FLOW_CONTROL_ERROR, "an initial window puts a stream's above 2^31-1"
                )
            stream.send_window += last
            self._make_ready(stream)
        self.stream_window = sizes[-1]

    def frame_size(self, frame_bytes_max: int) -> None:
        """The peer takes frames of this size."""
        self._frame_bytes_max = min(frame_bytes_max, TURN_BYTES_MAX)

    def flush(self) -> list[Stream]:
        """Serves streams in turn while they may be; returns those that have nothing left."""
        drained: list[Stream] = []
        while self.ready and self._can_turn:
            _, stream = self.ready.popitem(last=False)
            self._turn(stream)
            if not stream.queue:
                del self._waiting[stream.id]
                drained.append(stream)
            self._make_ready(stream)
        return drained

    def is_held_back(self, stream: Stream) -> bool:
        """Whether more of a stream's data waits than the peer's windows let through."""
        return stream.waiting_bytes > max(min(stream.send_window, self.window), 0)

    @property
    def _can_turn(self) -> bool:
        return self.window > 0 and self.output.room > 0

    @property
    def _beyond_windows(self) -> int:
        """Of what waits, what the peer keeps waiting: the rest waits for the socket alone."""
        streams = sum(
            max(stream.waiting_bytes - max(stream.send_window, 0), 0)
            for stream in self._waiting.values()
        )
        return max(streams, self.waiting_bytes - max(self.window, 0))

    def _make_ready(self, stream: Stream) -> None:
        """What waits is data first: of a stream's own, only its window keeps it from its turns."""
        if stream.queue and stream.send_window > 0:
            self.ready[stream.id] = stream
        elif stream.queue:
            self.ready.pop(stream.id, None)

    def _turn(self, stream: Stream) -> None:
        queue = stream.queue
        assert queue, "only streams with data that waits are ready"
        first = queue[0]
        assert isinstance(first, WaitingData), "a head in front would have been sent"
        left = self._write_frame(stream, first.data, end_stream=first.end_stream)
        if left and not self.ready:  # nobody else waits for a turn
            left = self._write_data(stream, left, end_stream=first.end_stream)
        sent = len(first.data) - len(left)
        stream.waiting_bytes -= sent
        self.waiting_bytes -= sent
        if left:
            queue[0] = WaitingData(left, first.end_stream)
            return
        queue.popleft()
        self.kept_bytes -= first.kept_bytes
        while queue and self._write_windowless(stream, queue[0]):
            queue.popleft()

    def _write_windowless(self, stream: Stream, item: WaitingHead | WaitingData) -> bool:
        """Sends what no window holds back: heads, and an end without data."""
        if isinstance(item, WaitingHead):
            self._write_headers(stream, item.headers, item.end_stream)
            return True
        if not item.data:
            self._write_frame(stream, item.data, end_stream=item.end_stream)
            return True
        return False

    def _write_data(self, stream: Stream, data: memoryview, *, end_stream: bool) -> memoryview:
        """Sends what may go now, and returns the rest."""
        if not data:
            return self._write_frame(stream, data, end_stream=end_stream)
        while data and self._can_turn and stream.send_window > 0:
            data = self._write_frame(stream, data, end_stream=end_stream)
        return data

    def _write_frame(self, stream: Stream, data: memoryview, *, end_stream: bool) -> memoryview:
        """Sends one frame, as large as may be, and returns the rest."""
        size = len(data)
        if size:
            size = min(size, stream.send_window, self.window, self._frame_bytes_max)
        left = data[size:]
        if left and size < TINY_FRAME_BYTES:
            self._floods.count("tiny_frames")
        else:
            self._floods.data_frames += 1
        stream.send_window -= size
        stream.sent_bytes += size
        self.window -= size
        flags = 0
        if end_stream and not left:
            flags, stream.state = frames.END_STREAM, AFTER_SENT_END[stream.state]
        self.output.data(frame_head(size, frames.DATA, flags, stream.id), data[:size])
        return left

    def _write_headers(self, stream: Stream, headers: Sequence[Header], end_stream: bool) -> None:
        flags = 0
        if end_stream:
            flags, stream.state = frames.END_STREAM, AFTER_SENT_END[stream.state]
        self.output.write(header_frames(stream.id, self.encoder.encode(headers), flags))
