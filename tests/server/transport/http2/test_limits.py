"""What a connection may make us hold: each limit is reached, and ends that connection or stream."""

import dataclasses
from collections.abc import Callable

import pytest

from server.transport.http2.connection import Connection
from server.transport.http2.errors import ErrorCode
from server.transport.http2.events import HeadersReceived, StreamRefused, StreamReset
from server.transport.http2.limits import KIB, Limits, Rate
from tests.server.transport.http2 import by_hand
from tests.server.transport.http2.by_hand import (
    CONTINUATION,
    END_HEADERS,
    HEADERS,
    PING,
    REQUEST,
    RESPONSE,
    block,
    codes,
    headers,
    raw,
    sent,
    setting,
    window_update,
)


def reached(connection: Connection) -> str:
    """The limit that ended it, with ENHANCE_YOUR_CALM."""
    assert connection.ended is not None
    assert connection.ended.code == ErrorCode.ENHANCE_YOUR_CALM
    assert codes(sent(connection))[-1] == (0, ErrorCode.ENHANCE_YOUR_CALM)
    return connection.ended.limit


def test_a_stream_too_many_is_refused_and_the_others_go_on() -> None:
    connection = by_hand.server(Limits(concurrent_streams=2))
    heard = connection.receive(b"".join(headers(stream_id) for stream_id in (1, 3, 5)), 0.0)
    assert heard[2:] == [StreamRefused(5, "concurrent_streams")]
    assert codes(sent(connection)) == [(5, ErrorCode.REFUSED_STREAM)]
    connection.send_whole(1, RESPONSE, b"", by_hand.TRAILERS)
    assert connection.receive(headers(7), 0.0) == [HeadersReceived(7, REQUEST, True)]


def test_a_refused_stream_that_sends_on_is_no_error() -> None:
    connection = by_hand.server(Limits(concurrent_streams=0))
    head = headers(1, flags=END_HEADERS)
    connection.receive(head + raw(by_hand.DATA, by_hand.END_STREAM, 1, b"x"), 0.0)
    assert connection.ended is None


def test_one_who_goes_on_opening_streams_is_cut_off() -> None:
    connection = by_hand.server(Limits(concurrent_streams=0, refused_streams=Rate(5, 0)))
    connection.receive(b"".join(headers(2 * i + 1) for i in range(6)), 0.0)
    assert reached(connection) == "refused_streams"


def test_a_request_with_too_large_a_head_is_refused_and_the_others_go_on() -> None:
    connection = by_hand.server(Limits(header_list_bytes=500))
    large = headers(1, (*REQUEST, (b"x", b"v" * 300)))
    heard = connection.receive(large + headers(3), 0.0)
    assert heard == [StreamRefused(1, "header_list_bytes"), HeadersReceived(3, REQUEST, True)]
    assert codes(sent(connection)) == [(1, ErrorCode.ENHANCE_YOUR_CALM)]


def test_too_large_a_head_of_a_response_resets_its_stream() -> None:
    connection = by_hand.client(Limits(header_list_bytes=500))
    connection.request(REQUEST, b"")
    heard = connection.receive(headers(1, (*RESPONSE, (b"x", b"v" * 500))), 0.0)
    assert heard == [StreamReset(1, ErrorCode.ENHANCE_YOUR_CALM, "the header list is too large")]


def test_trailers_of_a_request_that_are_too_large_reset_its_stream_and_are_told() -> None:
    connection = by_hand.server(Limits(header_list_bytes=500))
    connection.receive(headers(1, flags=END_HEADERS), 0.0)
    heard = connection.receive(headers(1, ((b"x", b"v" * 500),)), 0.0)
    assert heard == [
        StreamRefused(1, "header_list_bytes"),
        StreamReset(1, ErrorCode.ENHANCE_YOUR_CALM, "the header list is too large"),
    ]


def test_a_head_that_goes_on_in_too_many_parts_is_cut_off() -> None:
    connection = by_hand.server(Limits(continuation_frames=3))
    octets = block(REQUEST)
    begun = raw(HEADERS, 0, 1, octets[:10])
    parts = [raw(CONTINUATION, 0, 1, bytes((octet,))) for octet in octets[10:]]
    connection.receive(begun + b"".join(parts[:3]), 0.0)
    assert connection.ended is None
    connection.receive(parts[3], 0.0)
    assert reached(connection) == "continuation_frames"


def test_a_head_in_as_many_parts_as_are_allowed_is_read() -> None:
    connection = by_hand.server(Limits(continuation_frames=3))
    for stream_id in (1, 3):
        octets = block(REQUEST)
        connection.receive(raw(HEADERS, 0, stream_id, octets[:1]), 0.0)
        connection.receive(raw(CONTINUATION, 0, stream_id, octets[1:2]), 0.0)
        connection.receive(raw(CONTINUATION, 0, stream_id, octets[2:3]), 0.0)
        heard = connection.receive(raw(CONTINUATION, END_HEADERS, stream_id, octets[3:]), 0.0)
        assert heard == [HeadersReceived(stream_id, REQUEST, False)]


def test_a_head_that_goes_on_and_on_is_cut_off() -> None:
    limits = Limits(header_block_bytes=40 * KIB)
    connection = by_hand.server(limits)
    connection.receive(raw(HEADERS, 0, 1, bytes(16 * KIB)), 0.0)
    connection.receive(raw(CONTINUATION, 0, 1, bytes(16 * KIB)), 0.0)
    assert connection.held_bytes == 32 * KIB
    connection.receive(raw(CONTINUATION, 0, 1, bytes(16 * KIB)), 0.0)
    assert reached(connection) == "header_block_bytes"


def test_a_frame_beyond_the_size_that_we_set_ends_the_connection() -> None:
    connection = by_hand.server(Limits(frame_bytes=20_000))
    head = headers(1, flags=END_HEADERS)
    assert len(connection.receive(head + raw(by_hand.DATA, 0, 1, bytes(20_000)), 0.0)) == 2
    connection.receive(raw(by_hand.DATA, 0, 1, bytes(20_001)), 0.0)
    assert connection.ended is not None
    assert (connection.ended.code, connection.ended.limit) == (6, "frame_bytes")


def test_a_table_larger_than_we_allow_ends_the_connection() -> None:
    connection = by_hand.server(Limits(header_table_bytes=100))
    connection.receive(raw(HEADERS, END_HEADERS, 1, b"\x3f\x46" + block(REQUEST)), 0.0)  # 101
    assert connection.ended is not None
    assert connection.ended.code == ErrorCode.COMPRESSION_ERROR


def test_a_table_as_large_as_we_allow_is_used() -> None:
    connection = by_hand.server(Limits(header_table_bytes=8_192))
    sized = raw(HEADERS, END_HEADERS, 1, b"\x3f\xe1\x3f" + block(REQUEST))  # 8,192
    assert connection.receive(sized, 0.0) == [HeadersReceived(1, REQUEST, False)]


def test_too_many_answers_in_one_turn_end_the_connection_and_are_dropped() -> None:
    connection = by_hand.server(Limits(control_output_bytes=1_000, pings=Rate(10_000, 0)))
    connection.receive(raw(PING, 0, 0, bytes(8)) * 58, 0.0)
    assert connection.held_bytes == 58 * 17
    connection.receive(raw(PING, 0, 0, bytes(8)), 0.0)
    assert connection.held_bytes < 100
    assert reached(connection) == "control_output_bytes"


def test_answers_of_several_turns_are_not_counted_together() -> None:
    connection = by_hand.server(Limits(control_output_bytes=1_000, pings=Rate(10_000, 0)))
    for _ in range(100):
        connection.receive(raw(PING, 0, 0, bytes(8)) * 50, 0.0)
        assert len(sent(connection)) == 50


def test_data_that_waits_for_windows_ends_the_connection_when_it_is_too_much() -> None:
    connection = by_hand.server(Limits(waiting_bytes=1_000), first=setting(4, 0))
    connection.receive(headers(1) + headers(3), 0.0)
    connection.send_data(1, bytes(600))
    assert connection.ended is None
    connection.send_data(3, bytes(600))
    assert reached(connection) == "waiting_bytes"
    assert connection.open_streams == 0
    assert connection.held_bytes == 0


def test_an_end_in_a_send_is_told_with_the_next_read() -> None:
    connection = by_hand.server(Limits(waiting_bytes=1_000), first=setting(4, 0))
    connection.receive(headers(1), 0.0)
    connection.send_whole(1, RESPONSE, bytes(2_000), by_hand.TRAILERS)
    assert connection.receive(b"", 0.0) == [connection.ended]


def test_output_that_nobody_takes_ends_the_connection_and_is_dropped() -> None:
    wide = setting(4, 2**31 - 1)
    connection = by_hand.server(Limits(output_bytes=100_000), first=wide)
    connection.receive(headers(1) + window_update(0, 2**30), 0.0)
    connection.send_data(1, bytes(90_000))
    assert connection.ended is None
    connection.send_data(1, bytes(20_000))
    assert connection.held_bytes < 100
    assert reached(connection) == "output_bytes"


def fill(connection: Connection, send: Callable[[int], None]) -> str:
    """What is reached by sending on and on, of which nothing is taken."""
    for nth in range(200):
        if connection.ended is None:
            send(2 * nth + 1)
    return reached(connection)


def test_heads_that_nobody_takes_end_the_connection() -> None:
    connection = by_hand.server(Limits(output_bytes=1_000))
    connection.receive(headers(1), 0.0)
    assert fill(connection, lambda _: connection.send_headers(1, RESPONSE)) == "output_bytes"


def test_resets_of_ours_that_nobody_takes_end_the_connection() -> None:
    connection = by_hand.server(Limits(control_output_bytes=256))
    connection.receive(b"".join(headers(2 * nth + 1) for nth in range(20)), 0.0)
    assert fill(connection, connection.reset) == "control_output_bytes"


def test_updates_of_ours_that_nobody_takes_end_the_connection() -> None:
    connection = by_hand.server(Limits(control_output_bytes=256, stream_window_bytes=65_535))
    connection.receive(headers(1, flags=END_HEADERS), 0.0)

    def pass_through(_: int) -> None:
        for _ in range(3):
            connection.receive(raw(by_hand.DATA, 0, 1, bytes(16_000)), 0.0)
        connection.give_back(1, 48_000)

    assert fill(connection, pass_through) == "control_output_bytes"


def test_pings_of_ours_that_nobody_takes_end_the_connection() -> None:
    connection = by_hand.client(Limits(control_output_bytes=256))
    assert fill(connection, lambda _: connection.ping(bytes(8))) == "control_output_bytes"


def test_the_largest_message_may_wait() -> None:
    assert Limits().waiting_bytes > 64 * KIB * KIB + 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"frame_bytes": 16_383},
        {"frame_bytes": 2**24},
        {"header_table_bytes": -1},
        {"control_output_bytes": 255},
        {"stream_window_bytes": 65_534},
        {"connection_window_bytes": 2**31},
    ],
)
def test_a_limit_that_cannot_be_held_is_refused_by_name(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**wrong)  # type: ignore[arg-type]  # these are all of int


def test_limits_do_not_change_under_a_connection() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().concurrent_streams = 5  # type: ignore[misc]  # that is what is tested
