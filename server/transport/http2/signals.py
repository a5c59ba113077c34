"""All frames but those that carry a call: what the peer says of the connection, or of a stream.

What PRIORITY says is of no use (RFC 9113, 5.3.2), like frames of unknown types (5.5).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from server.transport.http2 import frames, settings
from server.transport.http2.errors import ConnectionFault, ErrorCode, StreamFault
from server.transport.http2.events import (
    Event,
    GoAwayReceived,
    PingAcknowledged,
    SettingsChanged,
    StreamReset,
)
from server.transport.http2.floods import Floods
from server.transport.http2.frames import NUMBER_MAX, frame, read_long
from server.transport.http2.hpack.decoder import Decoder
from server.transport.http2.limits import Limits
from server.transport.http2.sender import Sender
from server.transport.http2.states import State, check_may_come
from server.transport.http2.streams import StreamTable

_PING_BYTES = 8
_GOAWAY_BYTES = 8


class Signals:
    """Puts in force what the peer says, and answers it."""

    def __init__(
        self,
        limits: Limits,
        *,
        floods: Floods,
        sender: Sender,
        streams: StreamTable,
        decoder: Decoder,
        client: bool,
    ) -> None:
        self._client = client
        self._table_bytes = limits.header_table_bytes
        self._floods = floods
        self._sender = sender
        self._streams = streams
        self._decoder = decoder
        self._is_greeted = False  # the peer's first SETTINGS came

    def take(self, kind: int, flags: int, stream_id: int, payload: bytes) -> Sequence[Event]:
        """What the application is told of it; raises ConnectionFault and StreamFault."""
        take = _TAKES.get(kind)
        if take is None:
            self._floods.count("ignored_frames")
            return ()
        if stream_id and kind in _OF_NO_STREAM:
            raise _wrong(f"{_OF_NO_STREAM[kind]} belongs to no stream")
        return take(self, flags, stream_id, payload)

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
        self._sender.output.signal(frame(frames.SETTINGS, frames.ACK, 0))

    def _take_settings(self, flags: int, _stream_id: int, payload: bytes) -> Sequence[Event]:
        self._floods.count("settings")
        if flags & frames.ACK:
            self._take_settings_ack(payload)
            return ()
        if not self._is_greeted:  # what the first do not limit is free
            self._is_greeted = True
            self._streams.own_max = NUMBER_MAX
        self.settings(payload)
        return (SettingsChanged(),)

    def _take_settings_ack(self, payload: bytes) -> None:
        if payload:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement is empty")
        if not self._is_greeted:
            raise _wrong("SETTINGS come before their acknowledgement")
        self._decoder.table_size(self._table_bytes)

    def _set(self, name: int, value: int) -> None:
        if name == settings.MAX_CONCURRENT_STREAMS:
            self._streams.own_max = value
        elif name == settings.MAX_FRAME_SIZE:
            self._sender.frame_size(value)

    def _take_ping(self, flags: int, _stream_id: int, payload: bytes) -> Sequence[Event]:
        if len(payload) != _PING_BYTES:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PING takes 8 bytes")
        self._floods.count("pings")
        if flags & frames.ACK:
            return (PingAcknowledged(payload),)
        self._sender.output.signal(frame(frames.PING, frames.ACK, 0, payload))
        return ()

    def _take_goaway(self, _flags: int, _stream_id: int, payload: bytes) -> Sequence[Event]:
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

    def _take_priority(self, _flags: int, stream_id: int, payload: bytes) -> Sequence[Event]:
        if stream_id == 0:
            raise _wrong("PRIORITY needs a stream")
        self._floods.count("ignored_frames")
        if len(payload) != frames.PRIORITY_BYTES:
            is_idle = self._streams.state(stream_id) is State.IDLE  # nothing can be answered there
            fault = ConnectionFault if is_idle else StreamFault
            raise fault(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY takes 5 bytes")
        return ()

    def _take_reset(self, _flags: int, stream_id: int, payload: bytes) -> Sequence[Event]:
        code = read_long(payload, "RST_STREAM")
        check_may_come(frames.RST_STREAM, self._streams.state(stream_id))
        stream = self._streams.get(stream_id)
        if not self._client:
            self._floods.count("peer_resets")
        elif stream is None:  # a server cannot reset more than we opened
            self._floods.count("ignored_frames")
        if stream is None:
            return ()
        self._streams.remove(stream)
        return (StreamReset(stream_id, code),)

    def _take_window_update(self, _flags: int, stream_id: int, payload: bytes) -> Sequence[Event]:
        increment = read_long(payload, "WINDOW_UPDATE") & NUMBER_MAX
        self._floods.count("window_updates")
        if stream_id == 0:
            if increment == 0:
                raise _wrong("WINDOW_UPDATE opens a window by 1 at least")
            self._sender.open_window(increment)
        elif (stream := self._streams.get(stream_id)) is not None:
            if increment == 0:
                raise StreamFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
            self._sender.open_stream_window(stream, increment)
        else:
            check_may_come(frames.WINDOW_UPDATE, self._streams.state(stream_id))
        return ()

    def _take_push(self, _flags: int, _stream_id: int, _payload: bytes) -> Sequence[Event]:
        raise _wrong("PUSH_PROMISE was not allowed")


def _wrong(reason: str) -> ConnectionFault:
    return ConnectionFault(ErrorCode.PROTOCOL_ERROR, reason)


_OF_NO_STREAM: Mapping[int, str] = {
    frames.SETTINGS: "SETTINGS",
    frames.PING: "PING",
    frames.GOAWAY: "GOAWAY",
}
_Take: TypeAlias = Callable[[Signals, int, int, bytes], Sequence[Event]]
_TAKES: Mapping[int, _Take] = {
    frames.PRIORITY: Signals._take_priority,
    frames.RST_STREAM: Signals._take_reset,
    frames.SETTINGS: Signals._take_settings,
    frames.PUSH_PROMISE: Signals._take_push,
    frames.PING: Signals._take_ping,
    frames.GOAWAY: Signals._take_goaway,
    frames.WINDOW_UPDATE: Signals._take_window_update,
}
