"""What the peer says of the connection as a whole (RFC 9113, 6.5, 6.7 and 6.8)."""

from collections.abc import Sequence

from server.transport.http2 import frames, settings
from server.transport.http2.errors import ConnectionFault, ErrorCode
from server.transport.http2.events import (
    Event,
    GoAwayReceived,
    PingAcknowledged,
    StreamReset,
)
from server.transport.http2.floods import Floods
from server.transport.http2.frames import NUMBER_MAX, frame
from server.transport.http2.sender import Sender
from server.transport.http2.streams import StreamTable

_PING_BYTES = 8
_GOAWAY_BYTES = 8


class Control:
    """Puts in force what the peer says, and answers it."""

    def __init__(
        self, floods: Floods, sender: Sender, streams: StreamTable, *, client: bool
    ) -> None:
        self._client = client
        self._floods = floods
        self._sender = sender
        self._streams = streams

    def settings(self, payload: bytes) -> None:
        """The peer's, which are acknowledged at once."""
        windows: list[int] = []
        tables: list[int] = []
        for name, value in settings.read_settings(payload, client=self._client):
            if name == settings.INITIAL_WINDOW_SIZE:
                windows.append(value)
            elif name == settings.HEADER_TABLE_SIZE:
                tables.append(value)
            else:
                self._set(name, value)
        if windows:
            self._sender.initial_windows(windows, self._streams.values())
        if tables:  # what lies between the smallest and the last leaves no trace
            self._sender.encoder.table_size(min(tables))
            self._sender.encoder.table_size(tables[-1])
        self._sender.control(frame(frames.SETTINGS, frames.ACK, 0))

    def ping(self, flags: int, payload: bytes) -> Sequence[Event]:
        """Answers one, or tells the answer to ours."""
        if len(payload) != _PING_BYTES:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PING takes 8 bytes")
        self._floods.count("pings")
        if flags & frames.ACK:
            return (PingAcknowledged(payload),)
        self._sender.control(frame(frames.PING, frames.ACK, 0, payload))
        return ()

    def goaway(self, payload: bytes) -> Sequence[Event]:
        """A server takes no new streams, and has not looked at some that are open."""
        if len(payload) < _GOAWAY_BYTES:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY takes 8 bytes at least")
        self._floods.count("ignored_frames")
        last = int.from_bytes(payload[:4]) & NUMBER_MAX
        events: list[Event] = [GoAwayReceived(last, int.from_bytes(payload[4:8]))]
        if self._client:
            self._streams.going_away = True
            for stream in [stream for stream in self._streams.values() if stream.id > last]:
                self._streams.remove(stream)
                events.append(StreamReset(stream.id, ErrorCode.REFUSED_STREAM))
        return events

    def _set(self, name: int, value: int) -> None:
        if name == settings.MAX_CONCURRENT_STREAMS:
            self._streams.own_max = value
        elif name == settings.MAX_FRAME_SIZE:
            self._sender.frame_size(value)
