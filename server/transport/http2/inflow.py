"""The windows that we open to the peer (RFC 9113, 6.9): what it may send, what we give back."""

from server.transport.http2 import frames
from server.transport.http2.errors import ConnectionFault, ErrorCode, StreamFault
from server.transport.http2.frames import long_frame
from server.transport.http2.limits import WINDOW_BYTES_MIN, Limits
from server.transport.http2.output import Output
from server.transport.http2.states import HALF_CLOSED_REMOTE
from server.transport.http2.stream import Stream


class Inflow:
    """Opens a window again when half of it is used and given back: few updates, and no stall."""

    def __init__(self, limits: Limits, output: Output) -> None:
        self._output = output
        self._stream_window = limits.stream_window_bytes
        self._window_bytes = limits.connection_window_bytes
        self._window = self._window_bytes  # what the peer may send now
        self._returned_bytes = 0  # given back, and the peer not told yet
        if self._window_bytes > WINDOW_BYTES_MIN:
            self._announce(0, self._window_bytes - WINDOW_BYTES_MIN)

    def count_received(self, stream: Stream | None, flow_bytes: int) -> None:
        """They count on the connection in any case; a stream holds them until they are consumed."""
        self._window -= flow_bytes
        if self._window < 0:
            raise ConnectionFault(
                ErrorCode.FLOW_CONTROL_ERROR, "DATA goes beyond the connection's window"
            )
        if stream is not None:
            stream.receive_window -= flow_bytes
            stream.unreturned_bytes += flow_bytes
            if stream.receive_window < 0:
                raise StreamFault(
                    ErrorCode.FLOW_CONTROL_ERROR, "DATA goes beyond the stream's window"
                )

    def discard(self, flow_bytes: int) -> None:
        """They are of no stream that is open: only the connection's window counts them."""
        self._returned_bytes += flow_bytes
        if self._returned_bytes * 2 >= self._window_bytes:
            self._window += self._returned_bytes
            self._announce(0, self._returned_bytes)
            self._returned_bytes = 0

    def give_back(self, stream: Stream, flow_bytes: int) -> None:
        """The application took them."""
        flow_bytes = min(flow_bytes, stream.unreturned_bytes)
        stream.unreturned_bytes -= flow_bytes
        self.discard(flow_bytes)
        usable = self._stream_window - stream.unreturned_bytes
        has_room = (usable - stream.receive_window) * 2 >= self._stream_window
        if has_room and stream.state is not HALF_CLOSED_REMOTE:
            self._announce(stream.id, usable - stream.receive_window)
            stream.receive_window = usable

    def _announce(self, stream_id: int, increment: int) -> None:
        self._output.signal(long_frame(frames.WINDOW_UPDATE, stream_id, increment))
