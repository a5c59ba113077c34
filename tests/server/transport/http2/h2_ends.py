"""The two ends of a conversation: our connection, and the `h2` library's behind the same words."""

from collections import defaultdict, deque
from typing import NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    RequestReceived,
    ResponseReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes

from server.transport.http2 import events
from server.transport.http2.connection import Connection
from server.transport.http2.errors import ErrorCode
from server.transport.http2.hpack.table import Header
from server.transport.http2.limits import Limits

Fields = tuple[Header, ...]
PADDING_BYTES = 9


class Heard:
    """What came on the streams of a connection."""

    def __init__(self) -> None:
        self.heads: dict[int, Fields] = {}
        self.data: defaultdict[int, bytes] = defaultdict(bytes)
        self.trailers: dict[int, Fields] = {}
        self.ended: set[int] = set()
        self.reset: set[int] = set()


class Ours:
    """Our connection."""

    def __init__(self, limits: Limits, *, client: bool) -> None:
        self.connection = Connection(client=client, limits=limits)
        self.heard = Heard()
        self.consuming = True
        self._unconsumed: list[tuple[int, int]] = []

    def open(self, fields: Fields) -> int:
        return self.connection.open_stream(fields)

    def head(self, stream_id: int, fields: Fields) -> None:
        self.connection.send_headers(stream_id, fields)

    def data(self, stream_id: int, data: bytes, *, end: bool) -> None:
        self.connection.send_data(stream_id, data, end_stream=end)

    def trailers(self, stream_id: int, fields: Fields) -> None:
        self.connection.send_headers(stream_id, fields, end_stream=True)

    def reset(self, stream_id: int) -> None:
        self.connection.reset(stream_id)

    def take(self) -> bytes:
        if self.consuming:
            for stream_id, flow_bytes in self._unconsumed:
                self.connection.give_back(stream_id, flow_bytes)
            self._unconsumed.clear()
        assert self.connection.ended is None
        return self.connection.take_output()

    def feed(self, octets: bytes) -> None:
        for event in self.connection.receive(octets, 0.0):
            self._hear(event)

    def _hear(self, event: events.Event) -> None:
        heard = self.heard
        match event:
            case events.HeadersReceived(stream_id, fields, _):
                heard.heads[stream_id] = fields
            case events.DataReceived(stream_id, data, flow_bytes, _):
                heard.data[stream_id] += data
                self._unconsumed.append((stream_id, flow_bytes))
            case events.TrailersReceived(stream_id, fields):
                heard.trailers[stream_id] = fields
                heard.ended.add(stream_id)
            case events.StreamReset(stream_id, code):
                assert code == ErrorCode.CANCEL, f"h2 made an error: {code}"
                heard.reset.add(stream_id)
            case events.ConnectionEnded():
                raise AssertionError(event)
        if isinstance(event, events.HeadersReceived | events.DataReceived) and event.end_stream:
            heard.ended.add(event.stream_id)


class Waiting(NamedTuple):
    """What waits for a window: the library leaves that to its user."""

    data: bytes
    end: bool
    trailers: Fields = ()


class Theirs:
    """The connection of `h2`."""

    def __init__(self, *, client: bool) -> None:
        config = H2Configuration(client_side=client, header_encoding=None)
        self.connection = H2Connection(config)
        self.connection.initiate_connection()
        self.heard = Heard()
        self.consuming = True
        self.settled = False  # the library mixes up several changes that are on their way
        self._unconsumed: list[tuple[int, int]] = []
        self._waiting: defaultdict[int, deque[Waiting]] = defaultdict(deque)

    def open(self, fields: Fields) -> int:
        stream_id = self.connection.get_next_available_stream_id()
        self.connection.send_headers(stream_id, list(fields))
        return stream_id

    def head(self, stream_id: int, fields: Fields) -> None:
        self.connection.send_headers(stream_id, list(fields))

    def data(self, stream_id: int, data: bytes, *, end: bool) -> None:
        self._waiting[stream_id].append(Waiting(data, end))

    def trailers(self, stream_id: int, fields: Fields) -> None:
        self._waiting[stream_id].append(Waiting(b"", True, fields))

    def reset(self, stream_id: int) -> None:
        self._waiting.pop(stream_id, None)
        self.connection.reset_stream(stream_id, 8)

    def settings(self, name: SettingCodes, value: int) -> None:
        self.settled = False
        self.connection.update_settings({name: value})

    def take(self) -> bytes:
        if self.consuming:
            for stream_id, flow_bytes in self._unconsumed:
                self.connection.acknowledge_received_data(flow_bytes, stream_id)
            self._unconsumed.clear()
        for stream_id, waiting in self._waiting.items():
            while waiting and self._send(stream_id, waiting):
                pass
        return self.connection.data_to_send()

    def _send(self, stream_id: int, waiting: deque[Waiting]) -> bool:
        data, end, trailers = waiting[0]
        if trailers:
            self.connection.send_headers(stream_id, list(trailers), end_stream=True)
            waiting.popleft()
            return True
        room = min(
            self.connection.local_flow_control_window(stream_id),
            self.connection.max_outbound_frame_size,
        )
        if room <= 0 and data:
            return False
        room = max(room, 0)
        left = data[room:]
        padding = PADDING_BYTES if room > len(data) + PADDING_BYTES else None  # of all that fits in
        self.connection.send_data(
            stream_id, data[:room], end_stream=end and not left, pad_length=padding
        )
        if left:
            waiting[0] = Waiting(left, end)
        else:
            waiting.popleft()
        return True

    def feed(self, octets: bytes) -> None:
        for event in self.connection.receive_data(octets):
            self._hear(event)

    def _hear(self, event: object) -> None:
        heard = self.heard
        match event:
            case RequestReceived() | ResponseReceived():
                heard.heads[event.stream_id] = _fields(event.headers)
            case DataReceived():
                heard.data[event.stream_id] += event.data
                self._unconsumed.append((event.stream_id, event.flow_controlled_length))
            case TrailersReceived():
                heard.trailers[event.stream_id] = _fields(event.headers)
            case StreamEnded():
                heard.ended.add(event.stream_id)
            case SettingsAcknowledged():
                self.settled = True
            case StreamReset():
                self._waiting.pop(event.stream_id, None)
                heard.reset.add(event.stream_id)


def _fields(headers: object) -> Fields:
    assert isinstance(headers, list)
    return tuple((bytes(name), bytes(value)) for name, value in headers)
