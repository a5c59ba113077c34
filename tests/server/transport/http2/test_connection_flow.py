"""Windows, in both directions: RFC 9113, sections 5.2 and 6.9."""

import pytest

from server.transport.http2.connection import Connection
from server.transport.http2.errors import ErrorCode
from server.transport.http2.events import (
    DataReceived,
    StreamReset,
    StreamWritable,
    TrailersReceived,
)
from server.transport.http2.limits import Limits
from server.transport.http2.sender import TURN_BYTES_MAX
from tests.server.transport.http2 import by_hand
from tests.server.transport.http2.by_hand import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    REQUEST,
    RESPONSE,
    SETTINGS,
    TRAILERS,
    WINDOW_UPDATE,
    codes,
    exchange,
    headers,
    raw,
    sent,
    setting,
    window_update,
)

DEFAULT_WINDOW = 65_535
TIGHT = Limits(stream_window_bytes=70_000, connection_window_bytes=100_000)


def called(*, calls: int = 1, first: bytes = b"") -> Connection:
    """A server with so many whole requests, on streams 1, 3 and so on."""
    connection = by_hand.server(first=first)
    for call in range(calls):
        connection.receive(headers(2 * call + 1), 0.0)
        connection.send_headers(2 * call + 1, RESPONSE)
    connection.take_output()
    return connection


def data_sizes(connection: Connection) -> list[tuple[int, int]]:
    """Stream and size of each DATA frame sent."""
    return [(stream, len(payload)) for kind, _, stream, payload in sent(connection) if kind == DATA]


def updates(connection: Connection) -> list[tuple[int, int]]:
    """Stream and increment of each WINDOW_UPDATE sent."""
    frames = [(stream, payload) for kind, _, stream, payload in sent(connection) if kind == 8]
    return [(stream, int.from_bytes(payload)) for stream, payload in frames]


def test_no_more_is_sent_than_the_windows_allow_and_the_rest_waits_in_order() -> None:
    connection = called()
    connection.send_data(1, bytes(100_000))
    connection.send_headers(1, TRAILERS, end_stream=True)
    assert sum(size for _, size in data_sizes(connection)) == DEFAULT_WINDOW
    assert connection.waiting_bytes(1) == 100_000 - DEFAULT_WINDOW
    assert connection.receive(window_update(1, 50_000), 0.0) == []
    assert data_sizes(connection) == [], "the connection's window is shut"
    assert connection.receive(window_update(0, 50_000), 0.0) == [StreamWritable(1)]
    frames = sent(connection)
    assert [kind for kind, *_ in frames] == [DATA, DATA, DATA, HEADERS]
    assert frames[-1][1] == END_HEADERS | END_STREAM
    assert connection.waiting_bytes(1) == 0
    assert connection.held_bytes == 0
    assert connection.open_streams == 0


def test_an_end_without_data_needs_no_window() -> None:
    connection = called(first=setting(4, 0))
    connection.send_data(1, b"", end_stream=True)
    assert sent(connection) == [(DATA, END_STREAM, 1, b"")]


def test_an_end_without_data_waits_behind_data() -> None:
    connection = called(first=setting(4, 1))
    connection.send_data(1, b"ab")
    connection.send_data(1, b"", end_stream=True)
    assert sent(connection) == [(DATA, 0, 1, b"a")]
    connection.receive(window_update(1, 1), 0.0)
    assert sent(connection) == [(DATA, 0, 1, b"b"), (DATA, END_STREAM, 1, b"")]


def test_data_waits_in_order() -> None:
    connection = called(first=setting(4, 3))
    for data in (b"abcd", b"e", b"", b"fg"):
        connection.send_data(1, data)
    connection.take_output()
    connection.receive(window_update(1, 3), 0.0)
    assert [payload for *_, payload in sent(connection)] == [b"d", b"e", b"f"]
    assert connection.waiting_bytes(1) == 1


def test_nothing_to_send_is_no_frame() -> None:
    connection = called()
    connection.send_data(1, b"")
    assert connection.take_output() == b""


def test_a_whole_response_that_has_to_wait_arrives_whole() -> None:
    client, server = by_hand.pair()
    client.request(REQUEST, b"")
    exchange(client, server)
    server.send_whole(1, RESPONSE, bytes(200_000), TRAILERS)
    heard: list[object] = []
    while server.held_bytes:
        for event in client.receive(server.take_output(), 0.0):
            heard.append(event)
            if isinstance(event, DataReceived):
                client.give_back(1, event.flow_bytes)
        server.receive(client.take_output(), 0.0)
    data = [event.data for event in heard if isinstance(event, DataReceived)]
    assert b"".join(data) == bytes(200_000)
    assert heard[-1] == TrailersReceived(1, TRAILERS)


def test_streams_take_turns_when_a_window_opens_again() -> None:
    connection = called(calls=3)
    for stream_id in (1, 3, 5):
        connection.send_data(stream_id, bytes(60_000))
    connection.take_output()
    connection.receive(window_update(0, 6 * 16_384), 0.0)
    served = [stream for stream, _ in data_sizes(connection)]
    assert len(served) >= 6
    assert abs(served.count(3) - served.count(5)) <= 1


def test_a_stream_whose_own_window_is_shut_holds_up_no_other() -> None:
    connection = called(calls=2)
    connection.receive(window_update(0, 1_000_000), 0.0)
    connection.send_data(1, bytes(100_000))
    connection.take_output()
    connection.send_data(3, bytes(1_000))
    assert data_sizes(connection) == [(3, 1_000)]


def test_frames_are_as_large_as_the_peer_takes_and_as_a_turn_allows() -> None:
    wide = setting(4, 1_000_000) + setting(5, 20_000)
    connection = called(first=wide)
    connection.send_data(1, bytes(50_000))
    assert data_sizes(connection) == [(1, 20_000), (1, 20_000), (1, 10_000)]
    connection.receive(
        raw(SETTINGS, 0, 0, setting(5, 2**24 - 1)) + window_update(0, 10_000_000), 0.0
    )
    connection.take_output()
    connection.send_data(1, bytes(100_000))
    assert data_sizes(connection) == [(1, TURN_BYTES_MAX), (1, 100_000 - TURN_BYTES_MAX)]


def test_a_new_initial_window_applies_to_open_streams() -> None:
    connection = called(first=setting(4, 10))
    connection.send_data(1, bytes(100))
    assert data_sizes(connection) == [(1, 10)]
    assert connection.receive(raw(SETTINGS, 0, 0, setting(4, 60)), 0.0)
    assert data_sizes(connection) == [(1, 50)]
    connection.receive(raw(SETTINGS, 0, 0, setting(4, 20)), 0.0)  # the window is 40 below nothing
    connection.receive(window_update(1, 40), 0.0)
    assert data_sizes(connection) == []
    assert connection.receive(window_update(1, 41), 0.0) == [StreamWritable(1)]
    assert data_sizes(connection) == [(1, 40)]


def test_a_smaller_initial_window_stops_a_stream_that_waits_for_the_connections() -> None:
    connection = called(calls=2)
    connection.send_data(1, bytes(70_000))
    connection.send_data(3, bytes(70_000))
    connection.take_output()
    shrink = raw(SETTINGS, 0, 0, setting(4, 0))
    connection.receive(shrink + window_update(0, 10_000), 0.0)
    assert data_sizes(connection) == []
    connection.receive(window_update(3, 65_545), 0.0)
    assert {stream for stream, _ in data_sizes(connection)} == {3}


def test_an_initial_window_that_overflows_a_streams_ends_the_connection() -> None:
    connection = called()
    connection.receive(window_update(1, 2**31 - 1 - DEFAULT_WINDOW), 0.0)
    passing = raw(SETTINGS, 0, 0, setting(4, DEFAULT_WINDOW + 1) + setting(4, DEFAULT_WINDOW))
    connection.receive(passing, 0.0)
    assert connection.ended is not None
    assert connection.ended.code == ErrorCode.FLOW_CONTROL_ERROR


def test_an_update_that_overflows_a_window_is_an_error_of_what_it_opens() -> None:
    connection = called()
    heard = connection.receive(window_update(1, 2**31 - 1), 0.0)
    assert [event[:2] for event in heard] == [(1, ErrorCode.FLOW_CONTROL_ERROR)]
    assert codes(sent(connection)) == [(1, ErrorCode.FLOW_CONTROL_ERROR)]
    connection.receive(window_update(0, 2**31 - 1), 0.0)
    assert codes(sent(connection)) == [(0, ErrorCode.FLOW_CONTROL_ERROR)]


def test_an_update_by_nothing_is_an_error_of_what_it_opens() -> None:
    connection = called()
    connection.receive(window_update(1, 0), 0.0)
    connection.receive(window_update(0, 2**31), 0.0)  # the bit above is no part of it
    assert codes(sent(connection)) == [(1, ErrorCode.PROTOCOL_ERROR), (0, ErrorCode.PROTOCOL_ERROR)]


@pytest.mark.parametrize("stream_id", [0, 1])
def test_an_update_of_another_size_ends_the_connection(stream_id: int) -> None:
    connection = called()
    connection.receive(raw(WINDOW_UPDATE, 0, stream_id, bytes(3)), 0.0)
    assert connection.ended is not None
    assert connection.ended.code == ErrorCode.FRAME_SIZE_ERROR


def test_what_waits_is_dropped_with_its_stream() -> None:
    connection = called(calls=2)
    connection.send_data(1, bytes(100_000))
    connection.send_data(3, bytes(100_000))
    connection.take_output()
    connection.receive(by_hand.rst_stream(1), 0.0)
    connection.reset(3)
    connection.take_output()
    assert connection.held_bytes == 0
    connection.receive(window_update(0, 1_000_000), 0.0)
    assert connection.take_output() == b""


def receiving() -> Connection:
    """A server that takes a request of any length, on stream 1."""
    connection = by_hand.server(TIGHT)
    connection.receive(headers(1, flags=END_HEADERS), 0.0)
    return connection


def receive_data(connection: Connection, size: int, stream_id: int = 1) -> None:
    for at in range(0, size, 16_384):
        connection.receive(raw(DATA, 0, stream_id, bytes(min(16_384, size - at))), 0.0)


def test_windows_open_again_when_half_is_used_and_consumed() -> None:
    connection = receiving()
    receive_data(connection, 60_000)
    assert connection.take_output() == b"", "the application has taken nothing yet"
    connection.give_back(1, 30_000)
    assert connection.take_output() == b"", "less than half"
    connection.give_back(1, 10_000)
    assert updates(connection) == [(1, 40_000)]
    connection.give_back(1, 10_000)
    assert updates(connection) == [(0, 50_000)]


def test_a_stream_that_has_ended_needs_no_window() -> None:
    connection = receiving()
    receive_data(connection, 60_000)
    connection.receive(raw(DATA, END_STREAM, 1, b""), 0.0)
    connection.give_back(1, 60_000)
    assert updates(connection) == [(0, 60_000)]


def test_padding_counts_and_is_given_back() -> None:
    connection = by_hand.server(TIGHT)
    connection.receive(headers(1, flags=END_HEADERS), 0.0)
    for _ in range(250):
        connection.receive(raw(DATA, by_hand.PADDED, 1, b"\xc7" + bytes(200)), 0.0)
    connection.give_back(1, 250 * 201)
    assert sorted(updates(connection)) == [(0, 250 * 201), (1, 250 * 201)]


def test_more_than_is_held_cannot_be_given_back() -> None:
    connection = receiving()
    receive_data(connection, 40_000)
    connection.give_back(1, 10**9)
    assert updates(connection) == [(1, 40_000)]


@pytest.mark.parametrize("by_peer", [True, False])
def test_what_a_stream_held_is_given_back_when_it_goes(by_peer: bool) -> None:
    connection = receiving()
    receive_data(connection, 60_000)
    if by_peer:
        connection.receive(by_hand.rst_stream(1), 0.0)
    else:
        connection.reset(1)
    assert updates(connection) == [(0, 60_000)]
    connection.give_back(1, 60_000)
    assert connection.take_output() == b""


def test_data_of_a_stream_that_we_reset_is_given_back() -> None:
    connection = receiving()
    connection.reset(1)
    connection.take_output()
    receive_data(connection, 60_000)
    assert sum(size for _, size in updates(connection)) >= 50_000


def test_data_beyond_a_streams_window_resets_it() -> None:
    connection = receiving()
    receive_data(connection, 70_000)
    heard = connection.receive(raw(DATA, 0, 1, b"x"), 0.0)
    assert heard == [
        StreamReset(1, ErrorCode.FLOW_CONTROL_ERROR, "DATA goes beyond the stream's window")
    ]
    assert codes(sent(connection)) == [(1, ErrorCode.FLOW_CONTROL_ERROR)]


def test_data_beyond_the_connections_window_ends_it() -> None:
    connection = receiving()
    connection.receive(headers(3, flags=END_HEADERS), 0.0)
    receive_data(connection, 60_000)
    receive_data(connection, 40_000, 3)
    assert connection.ended is None
    receive_data(connection, 1, 3)
    assert connection.ended is not None
    assert connection.ended.code == ErrorCode.FLOW_CONTROL_ERROR


def test_messages_far_larger_than_any_window_pass_both_ways_at_once() -> None:
    client, server = by_hand.pair(TIGHT)
    stream_id = client.open_stream(REQUEST)
    exchange(client, server)
    client.send_data(stream_id, b"up" * 500_000, end_stream=True)
    server.send_headers(stream_id, RESPONSE)
    server.send_data(stream_id, b"down" * 250_000)
    server.send_headers(stream_id, TRAILERS, end_stream=True)
    got: dict[Connection, bytes] = {client: b"", server: b""}
    while client.held_bytes or server.held_bytes:
        for teller, hearer in ((client, server), (server, client)):
            for event in hearer.receive(teller.take_output(), 0.0):
                if isinstance(event, DataReceived):
                    got[hearer] += event.data
                    hearer.give_back(stream_id, event.flow_bytes)
    assert got[server] == b"up" * 500_000
    assert got[client] == b"down" * 250_000
    assert (client.open_streams, server.open_streams) == (0, 0)
