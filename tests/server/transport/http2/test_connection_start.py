"""How a connection begins, what its ends tell each other about it, and how it is left:
RFC 9113, sections 3.4, 6.5, 6.7 and 6.8."""

import pytest

from server.transport.http2.connection import Connection
from server.transport.http2.errors import ErrorCode, NoStreamFree
from server.transport.http2.events import (
    ConnectionEnded,
    DataReceived,
    GoAwayReceived,
    HeadersReceived,
    PingAcknowledged,
    SettingsChanged,
    StreamReset,
)
from server.transport.http2.floods import Floods
from server.transport.http2.hpack.decoder import Decoder
from server.transport.http2.hpack.encoder import Encoder
from server.transport.http2.inflow import Inflow
from server.transport.http2.limits import Limits
from server.transport.http2.output import Output
from server.transport.http2.sender import Sender
from server.transport.http2.signals import Signals
from server.transport.http2.streams import StreamsInAll, StreamTable
from tests.server.transport.http2 import by_hand
from tests.server.transport.http2.by_hand import (
    ACK,
    END_HEADERS,
    GOAWAY,
    PING,
    PREFACE,
    REQUEST,
    SETTINGS,
    codes,
    exchange,
    headers,
    raw,
    sent,
    setting,
)

NAMES = {1: "table", 2: "push", 3: "streams", 4: "window", 5: "frame", 6: "list"}
GREETING = PREFACE + raw(SETTINGS, 0, 0)


def said_settings(payload: bytes) -> dict[str, int]:
    at = range(0, len(payload), 6)
    pairs = [(payload[i : i + 2], payload[i + 2 : i + 6]) for i in at]
    return {NAMES[int.from_bytes(name)]: int.from_bytes(value) for name, value in pairs}


def ends(connection: Connection, octets: bytes) -> tuple[int, str]:
    """The code and limit with which these octets end the connection."""
    event = connection.receive(octets, 0.0)[-1]
    assert isinstance(event, ConnectionEnded)
    assert connection.ended == event
    assert codes(sent(connection))[-1] == (0, event.code)
    return event.code, event.limit


def test_a_client_begins_with_preface_settings_and_the_window_of_the_connection() -> None:
    limits = Limits(connection_window_bytes=100_000, stream_window_bytes=70_000)
    octets = Connection(client=True, limits=limits).take_output()
    assert octets.startswith(PREFACE)
    (kind, flags, stream, payload), update = by_hand.read_frames(octets)
    assert (kind, flags, stream) == (SETTINGS, 0, 0)
    assert said_settings(payload) == {
        "table": 4_096,
        "push": 0,
        "window": 70_000,
        "frame": 16_384,
        "list": 16_384,
    }
    assert update == (by_hand.WINDOW_UPDATE, 0, 0, (100_000 - 65_535).to_bytes(4))


def test_a_server_begins_with_settings_that_limit_streams() -> None:
    limits = Limits(concurrent_streams=7, connection_window_bytes=65_535)
    [(kind, _, _, payload)] = sent(Connection(client=False, limits=limits))
    assert kind == SETTINGS
    assert said_settings(payload)["streams"] == 7


def test_the_preface_may_come_octet_by_octet() -> None:
    connection = Connection(client=False)
    events = [event for octet in GREETING for event in connection.receive(bytes((octet,)), 0.0)]
    assert events == [SettingsChanged()]


@pytest.mark.parametrize(
    "octets",
    [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", PREFACE[:20] + b"X", raw(SETTINGS, 0, 0)],
    ids=["HTTP/1.1", "TLS", "almost", "none"],
)
def test_another_preface_ends_the_connection_at_its_first_wrong_octet(octets: bytes) -> None:
    assert ends(Connection(client=False), octets) == (ErrorCode.PROTOCOL_ERROR, "")


@pytest.mark.parametrize("client", [True, False])
@pytest.mark.parametrize(
    "first", [raw(PING, 0, 0, bytes(8)), raw(SETTINGS, ACK, 0), raw(0xFA, 0, 0), headers(1)]
)
def test_the_first_frame_is_settings(client: bool, first: bytes) -> None:
    preface = b"" if client else PREFACE
    assert ends(Connection(client=client), preface + first) == (ErrorCode.PROTOCOL_ERROR, "")


def test_after_the_end_nothing_is_heard() -> None:
    connection = by_hand.server()
    ends(connection, raw(PING, 0, 1, bytes(8)))
    assert connection.receive(headers(1), 0.0) == []
    assert connection.take_output() == b""


def test_what_came_before_the_error_is_told() -> None:
    heard = by_hand.server().receive(headers(1) + raw(PING, 0, 1, bytes(8)), 0.0)
    assert [type(event) for event in heard] == [HeadersReceived, ConnectionEnded]


def test_an_end_names_the_last_stream_that_was_seen_and_says_why() -> None:
    connection = by_hand.server()
    connection.receive(headers(1) + headers(5) + raw(PING, 0, 1, bytes(8)), 0.0)
    payload = sent(connection)[-1][3]
    assert payload[:8] == (5).to_bytes(4) + (1).to_bytes(4)
    assert b"PING" in payload[8:]


def test_settings_are_acknowledged_once_each() -> None:
    connection = by_hand.server()
    assert connection.receive(raw(SETTINGS, 0, 0) * 2, 0.0) == [SettingsChanged()] * 2
    assert sent(connection) == [(SETTINGS, ACK, 0, b"")] * 2


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (raw(SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
        (raw(SETTINGS, ACK, 0, bytes(6)), ErrorCode.FRAME_SIZE_ERROR),
        (raw(SETTINGS, 0, 0, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
        (raw(SETTINGS, 0, 0, setting(2, 2)), ErrorCode.PROTOCOL_ERROR),
        (raw(SETTINGS, 0, 0, setting(4, 2**31)), ErrorCode.FLOW_CONTROL_ERROR),
        (raw(SETTINGS, 0, 0, setting(5, 16_383)), ErrorCode.PROTOCOL_ERROR),
        (raw(SETTINGS, 0, 0, setting(5, 2**24)), ErrorCode.PROTOCOL_ERROR),
    ],
)
def test_settings_out_of_bounds_end_the_connection(octets: bytes, code: int) -> None:
    assert ends(by_hand.server(), octets) == (code, "")


@pytest.mark.parametrize(
    "parameter",
    [
        setting(1, 0),
        setting(1, 2**32 - 1),
        setting(2, 1),
        setting(3, 0),
        setting(4, 0),
        setting(4, 2**31 - 1),
        setting(5, 2**24 - 1),
        setting(6, 0),
        setting(0xFAFA, 12),
    ],
)
def test_settings_within_bounds_and_unknown_ones_are_taken(parameter: bytes) -> None:
    assert by_hand.server().receive(raw(SETTINGS, 0, 0, parameter), 0.0) == [SettingsChanged()]


def test_a_server_may_not_offer_to_push() -> None:
    assert ends(by_hand.client(), raw(SETTINGS, 0, 0, setting(2, 1)))[0] == 1
    assert by_hand.client().receive(raw(SETTINGS, 0, 0, setting(2, 0)), 0.0) == [SettingsChanged()]


@pytest.mark.parametrize("client", [True, False])
def test_a_push_ends_the_connection(client: bool) -> None:
    connection = by_hand.client() if client else by_hand.server()
    if client:
        connection.open_stream(REQUEST)
        connection.take_output()
    octets = raw(by_hand.PUSH_PROMISE, END_HEADERS, 1, (2).to_bytes(4) + by_hand.block(REQUEST))
    assert ends(connection, octets) == (ErrorCode.PROTOCOL_ERROR, "")


def test_a_smaller_table_of_the_peer_is_kept_to() -> None:
    connection = by_hand.client(first=setting(1, 0) + setting(1, 50))
    connection.open_stream(REQUEST)
    [(_, _, _, block)] = sent(connection)
    assert block.startswith(b"\x20\x3f\x13"), "sizes 0 and 50: the smallest, then the last"


class NotingEncoder(Encoder):
    """Notes the table sizes that it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def table_size(self, table_bytes: int) -> None:
        self.sizes.append(table_bytes)
        super().table_size(table_bytes)


def test_the_table_is_made_anew_twice_a_frame_however_often_its_size_changes() -> None:
    floods, output = Floods(Limits()), Output(Limits())
    sender = Sender(output, Limits(), floods)
    encoder = sender.encoder = NotingEncoder()
    streams = StreamTable(sender, Inflow(Limits(), output), StreamsInAll(), client=True)
    signals = Signals(
        Limits(), floods=floods, sender=sender, streams=streams, decoder=Decoder(), client=True
    )
    signals.settings(b"".join(setting(1, n) for n in (9, *range(1, 2_730))))
    assert encoder.sizes == [1, 2_729]


def test_our_smaller_table_has_to_be_kept_to_once_it_is_acknowledged() -> None:
    connection = Connection(client=False, limits=Limits(header_table_bytes=0))
    connection.receive(GREETING + headers(1), 0.0)
    connection.take_output()
    assert ends(connection, raw(SETTINGS, ACK, 0) + headers(3))[0] == ErrorCode.COMPRESSION_ERROR


def test_a_ping_is_answered_with_its_payload() -> None:
    connection = by_hand.server()
    assert connection.receive(raw(PING, 0, 0, b"12345678"), 0.0) == []
    assert sent(connection) == [(PING, ACK, 0, b"12345678")]


def test_an_answered_ping_is_told() -> None:
    client, server = by_hand.pair()
    client.ping(b"abcdefgh")
    assert exchange(client, server)[0] == [PingAcknowledged(b"abcdefgh")]


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (raw(PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (raw(PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
        (raw(PING, ACK, 0, bytes(9)), ErrorCode.FRAME_SIZE_ERROR),
        (raw(GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (raw(GOAWAY, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    ],
)
def test_a_ping_or_goaway_that_is_wrong_ends_the_connection(octets: bytes, code: int) -> None:
    assert ends(by_hand.server(), octets) == (code, "")


def test_a_server_leaves_in_two_steps_and_loses_no_call() -> None:
    client, server = by_hand.pair()
    server.goaway(last_stream_id=2**31 - 1)
    client.open_stream(REQUEST, end_stream=True)  # on its way while the server begins to leave
    to_server = client.take_output()
    assert client.receive(server.take_output(), 0.0) == [GoAwayReceived(2**31 - 1, 0)]
    with pytest.raises(NoStreamFree):
        client.open_stream(REQUEST)
    assert [type(event) for event in server.receive(to_server, 0.0)] == [HeadersReceived]
    server.goaway()
    assert exchange(client, server)[0] == [GoAwayReceived(1, 0)]
    assert server.open_streams == 1
    server.send_whole(1, by_hand.RESPONSE, b"", by_hand.TRAILERS)
    exchange(client, server)
    assert client.open_streams == server.open_streams == 0
    assert client.ended is None


def test_after_the_last_goaway_new_streams_are_ignored_but_their_heads_are_decoded() -> None:
    client, server = by_hand.pair()
    first = client.request(REQUEST, b"1")
    exchange(client, server)
    server.goaway()
    late = client.open_stream((*REQUEST, (b"user-agent", b"new in the table")))
    client.send_data(late, b"2", end_stream=True)
    assert server.receive(client.take_output(), 0.0) == []
    assert server.open_streams == 1
    heard, _ = exchange(client, server)
    assert StreamReset(late, ErrorCode.REFUSED_STREAM) in heard
    server.send_whole(first, by_hand.RESPONSE, b"", by_hand.TRAILERS)
    heard, _ = exchange(client, server)
    assert heard
    assert (client.ended, server.ended) == (None, None)


def test_streams_above_a_goaway_are_given_back_as_refused_and_those_below_go_on() -> None:
    client = by_hand.client()
    for _ in range(3):
        client.request(REQUEST, b"")
    client.take_output()
    goaway = raw(GOAWAY, 0, 0, (3).to_bytes(4) + (0).to_bytes(4) + b"bye")
    assert client.receive(goaway, 0.0) == [
        GoAwayReceived(3, 0),
        StreamReset(5, ErrorCode.REFUSED_STREAM),
    ]
    assert client.open_streams == 2
    assert client.receive(headers(3, by_hand.RESPONSE), 0.0)


def test_the_last_stream_of_a_goaway_never_goes_up() -> None:
    connection = by_hand.server()
    connection.goaway(last_stream_id=1)
    connection.goaway(last_stream_id=2**31 - 1)
    assert [payload[:4] for *_, payload in sent(connection)] == [(1).to_bytes(4)] * 2


def test_a_client_that_says_goaway_may_still_finish_its_calls() -> None:
    connection = by_hand.server()
    connection.receive(headers(1, flags=END_HEADERS) + raw(GOAWAY, 0, 0, bytes(8)), 0.0)
    heard = connection.receive(raw(by_hand.DATA, 1, 1, b"x"), 0.0)
    assert heard == [DataReceived(1, b"x", 1, True)]


def test_a_client_keeps_to_the_streams_that_the_server_allows() -> None:
    client = by_hand.client(first=setting(3, 2))
    client.open_stream(REQUEST)
    client.open_stream(REQUEST)
    with pytest.raises(NoStreamFree):
        client.open_stream(REQUEST)
    client.receive(headers(1, by_hand.RESPONSE) + by_hand.rst_stream(1, 0), 0.0)
    assert client.open_stream(REQUEST) == 5


def test_a_client_that_has_not_heard_of_a_limit_opens_a_hundred() -> None:
    client = Connection(client=True)
    for _ in range(100):
        client.open_stream(REQUEST)
    with pytest.raises(NoStreamFree):
        client.open_stream(REQUEST)
    client.receive(raw(SETTINGS, 0, 0), 0.0)
    assert client.open_stream(REQUEST) == 201


def test_a_client_that_has_used_every_number_opens_no_more() -> None:
    limits = Limits()
    output = Output(limits)
    sender = Sender(output, limits, Floods(limits))
    streams = StreamTable(sender, Inflow(limits, output), StreamsInAll(), client=True)
    streams.last_own = 2**31 - 3
    assert streams.open(65_535).id == 2**31 - 1
    with pytest.raises(NoStreamFree):
        streams.open(65_535)


def test_an_ended_connection_has_no_stream_and_takes_no_sending() -> None:
    client = by_hand.client()
    stream_id = client.open_stream(REQUEST)
    client.take_output()
    ends(client, raw(PING, 0, 1, bytes(8)))
    client.send_data(stream_id, b"late", end_stream=True)
    client.reset(stream_id)
    client.ping(bytes(8))
    client.goaway()
    assert client.take_output() == b""
    with pytest.raises(NoStreamFree):
        client.open_stream(REQUEST)
