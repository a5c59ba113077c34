"""HTTP/2 by hand: frames as octets, read without the code that is tested, and connections that are
past their beginning."""

from collections.abc import Sequence

from server.transport.http2.connection import Connection
from server.transport.http2.events import Event
from server.transport.http2.hpack.encoder import Encoder
from server.transport.http2.hpack.table import Header
from server.transport.http2.limits import Limits

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

REQUEST: tuple[Header, ...] = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/echo.Echo/Say"),
    (b":authority", b"localhost"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
)
RESPONSE: tuple[Header, ...] = ((b":status", b"200"), (b"content-type", b"application/grpc"))
TRAILERS: tuple[Header, ...] = ((b"grpc-status", b"0"),)

RawFrame = tuple[int, int, int, bytes]  # type, flags, stream, payload


def raw(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3) + bytes((kind, flags)) + stream_id.to_bytes(4)
    return head + payload


def headers(
    stream_id: int,
    fields: Sequence[Header] = REQUEST,
    *,
    flags: int = END_HEADERS | END_STREAM,
    encoder: Encoder | None = None,
) -> bytes:
    """A HEADERS frame; without an encoder its block leaves no trace in a table."""
    return raw(
        HEADERS, flags, stream_id, block(fields) if encoder is None else encoder.encode(fields)
    )


def block(fields: Sequence[Header]) -> bytes:
    """Every field as a literal without indexing."""
    return b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)


def _string(octets: bytes) -> bytes:
    if len(octets) < 127:
        return bytes((len(octets),)) + octets
    left, length = len(octets) - 127, bytearray(b"\x7f")
    while left >= 128:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes((*length, left)) + octets


def setting(name: int, value: int) -> bytes:
    return name.to_bytes(2) + value.to_bytes(4)


def window_update(stream_id: int, increment: int) -> bytes:
    return raw(WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4))


def rst_stream(stream_id: int, code: int = 8) -> bytes:
    return raw(RST_STREAM, 0, stream_id, code.to_bytes(4))


def read_frames(octets: bytes) -> list[RawFrame]:
    """All frames of an output, which holds whole frames only; a client's preface is skipped."""
    found: list[RawFrame] = []
    at = len(PREFACE) if octets.startswith(PREFACE) else 0
    while at < len(octets):
        length = int.from_bytes(octets[at : at + 3])
        kind, flags = octets[at + 3], octets[at + 4]
        stream_id = int.from_bytes(octets[at + 5 : at + 9])
        payload = octets[at + 9 : at + 9 + length]
        assert len(payload) == length, "the output ends inside a frame"
        found.append((kind, flags, stream_id, payload))
        at += 9 + length
    return found


def sent(connection: Connection) -> list[RawFrame]:
    return read_frames(connection.take_output())


def server(limits: Limits | None = None, *, first: bytes = b"") -> Connection:
    """A server whose client has said its preface, and `first` in its SETTINGS."""
    connection = Connection(client=False, limits=limits or Limits())
    connection.receive(PREFACE + raw(SETTINGS, 0, 0, first) + raw(SETTINGS, ACK, 0), 0.0)
    connection.take_output()
    return connection


def client(limits: Limits | None = None, *, first: bytes = b"") -> Connection:
    """A client whose server has said its SETTINGS."""
    connection = Connection(client=True, limits=limits or Limits())
    connection.receive(raw(SETTINGS, 0, 0, first) + raw(SETTINGS, ACK, 0), 0.0)
    connection.take_output()
    return connection


def pair(limits: Limits | None = None) -> tuple[Connection, Connection]:
    """A client and a server that have met."""
    limits = limits or Limits()
    ends = Connection(client=True, limits=limits), Connection(client=False, limits=limits)
    exchange(*ends)
    return ends


def exchange(client: Connection, server: Connection) -> tuple[list[Event], list[Event]]:
    """Passes what both have to say until neither has more; what the client and the server heard."""
    heard_by_client: list[Event] = []
    heard_by_server: list[Event] = []
    while True:
        to_server, to_client = client.take_output(), server.take_output()
        if not to_server and not to_client:
            return heard_by_client, heard_by_server
        heard_by_server += server.receive(to_server, 0.0)
        heard_by_client += client.receive(to_client, 0.0)


def codes(frames: Sequence[RawFrame]) -> list[tuple[int, int]]:
    """Stream and code of each RST_STREAM; stream 0 and code of a GOAWAY."""
    found = [(stream, int.from_bytes(payload)) for kind, _, stream, payload in frames if kind == 3]
    return found + [(0, int.from_bytes(p[4:8])) for kind, _, _, p in frames if kind == GOAWAY]
