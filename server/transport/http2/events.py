"""What a connection tells its owner: everything a peer did that the application has to know."""

from typing import NamedTuple

from server.transport.http2.hpack.table import Header

Headers = tuple[Header, ...]


class HeadersReceived(NamedTuple):
    """A request, or the final head of a response; a head of 1xx is not told."""

    stream_id: int
    headers: Headers
    end_stream: bool


class TrailersReceived(NamedTuple):
    """The last word of the peer on this stream."""

    stream_id: int
    headers: Headers


class DataReceived(NamedTuple):
    """Bytes of a message; `give_back` gives `flow_bytes` (with the padding) back to the peer."""

    stream_id: int
    data: bytes
    flow_bytes: int
    end_stream: bool


class StreamReset(NamedTuple):
    """The stream is gone: the peer reset it, or made an error that was answered with RST_STREAM."""

    stream_id: int
    code: int
    error: str = ""  # the peer's, if it made one


class StreamRefused(NamedTuple):
    """The named limit ended a stream; StreamReset follows, if the application had heard of it."""

    stream_id: int
    limit: str


class StreamWritable(NamedTuple):
    """Nothing of this stream waits any more."""

    stream_id: int


class GoAwayReceived(NamedTuple):
    """The peer takes no new streams; those above `last_stream_id` come as StreamReset too."""

    last_stream_id: int
    code: int


class SettingsChanged(NamedTuple):
    """The peer's SETTINGS are in force, and more streams may be free."""


class PingAcknowledged(NamedTuple):
    """The peer answered a ping of ours."""

    payload: bytes


class ConnectionEnded(NamedTuple):
    """Nothing more will be received: write the output, which holds the GOAWAY, and close."""

    code: int
    reason: str
    limit: str  # the field of Limits that was reached, or nothing


Event = (
    HeadersReceived
    | TrailersReceived
    | DataReceived
    | StreamReset
    | StreamRefused
    | StreamWritable
    | GoAwayReceived
    | SettingsChanged
    | PingAcknowledged
    | ConnectionEnded
)
