"""The states of streams and what may come in each: RFC 9113, sections 5.1, 5.4, 6.1 to 6.4."""

import pytest

from server.transport.http2.connection import Connection
from server.transport.http2.errors import ErrorCode
from server.transport.http2.events import (
    ConnectionEnded,
    DataReceived,
    HeadersReceived,
    StreamReset,
    TrailersReceived,
)
from server.transport.http2.hpack.decoder import Decoder
from server.transport.http2.streams import GAPS_REMEMBERED, RESETS_REMEMBERED
from tests.server.transport.http2 import by_hand
from tests.server.transport.http2.by_hand import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PRIORITY,
    REQUEST,
    RESPONSE,
    RST_STREAM,
    TRAILERS,
    WITH_PRIORITY,
    block,
    codes,
    exchange,
    headers,
    raw,
    rst_stream,
    sent,
    window_update,
)

OPEN = headers(1, flags=END_HEADERS)
ENDED = headers(1)  # by the client


def ends(connection: Connection, octets: bytes) -> int:
    """The code with which these octets end the connection."""
    connection.receive(octets, 0.0)
    assert connection.ended is not None
    return connection.ended.code


def resets(connection: Connection, octets: bytes) -> int:
    """The code with which these octets end stream 1, and that alone."""
    heard = connection.receive(octets, 0.0)
    [(stream_id, code)] = codes(sent(connection))
    assert stream_id == 1
    assert isinstance(heard[-1], StreamReset)
    assert heard[-1][:2] == (1, code)
    assert connection.receive(headers(3), 0.0), "others go on"
    return code


def test_a_call_passes_through_all_states_and_is_gone() -> None:
    client, server = by_hand.pair()
    stream_id = client.open_stream(REQUEST)
    client.send_data(stream_id, b"hello", end_stream=True)
    _, heard = exchange(client, server)
    assert heard == [HeadersReceived(1, REQUEST, False), DataReceived(1, b"hello", 5, True)]
    server.send_headers(1, RESPONSE)
    server.send_data(1, b"world")
    assert (client.open_streams, server.open_streams) == (1, 1)
    server.send_headers(1, TRAILERS, end_stream=True)
    heard, _ = exchange(client, server)
    assert heard == [
        HeadersReceived(1, RESPONSE, False),
        DataReceived(1, b"world", 5, False),
        TrailersReceived(1, TRAILERS),
    ]
    assert (client.open_streams, server.open_streams) == (0, 0)


def test_an_answer_of_trailers_only_is_a_head_that_ends() -> None:
    client, server = by_hand.pair()
    client.request(REQUEST, b"hello")
    exchange(client, server)
    server.send_headers(1, RESPONSE + TRAILERS, end_stream=True)
    assert exchange(client, server)[0] == [HeadersReceived(1, RESPONSE + TRAILERS, True)]


def test_a_request_and_a_response_go_out_in_one_go() -> None:
    client, server = by_hand.pair()
    client.request(REQUEST, b"hello")
    frames = sent(client)
    assert [(kind, flags) for kind, flags, *_ in frames] == [
        (HEADERS, END_HEADERS),
        (DATA, END_STREAM),
    ]
    server.receive(b"".join(raw(*frame) for frame in frames), 0.0)
    server.send_whole(1, RESPONSE, b"world", TRAILERS)
    assert [(kind, flags) for kind, flags, *_ in sent(server)] == [
        (HEADERS, END_HEADERS),
        (DATA, 0),
        (HEADERS, END_HEADERS | END_STREAM),
    ]
    assert server.open_streams == 0


def test_a_request_may_have_trailers() -> None:
    heard = by_hand.server().receive(OPEN + headers(1, TRAILERS), 0.0)
    assert heard[1:] == [TrailersReceived(1, TRAILERS)]


def test_heads_of_one_read_are_told_apart() -> None:
    heard = by_hand.server().receive(headers(1) + headers(3) + headers(9), 0.0)
    assert [event.stream_id for event in heard if isinstance(event, HeadersReceived)] == [1, 3, 9]


@pytest.mark.parametrize(
    "octets",
    [
        raw(DATA, END_STREAM, 1, b"x"),
        rst_stream(1),
        window_update(1, 1),
        raw(CONTINUATION, END_HEADERS, 1, block(REQUEST)),
        raw(DATA, 0, 2, b"x"),
        headers(2),
        rst_stream(2),
        window_update(2, 1),
    ],
)
def test_a_frame_on_an_idle_stream_ends_the_connection(octets: bytes) -> None:
    assert ends(by_hand.server(), octets) == ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("kind", [DATA, HEADERS, PRIORITY, RST_STREAM, CONTINUATION])
def test_a_frame_that_needs_a_stream_and_has_none_ends_the_connection(kind: int) -> None:
    payload = {PRIORITY: bytes(5), RST_STREAM: bytes(4)}.get(kind, block(REQUEST))
    assert ends(by_hand.server(), raw(kind, END_HEADERS, 0, payload)) == ErrorCode.PROTOCOL_ERROR


def test_a_priority_on_an_idle_stream_means_nothing() -> None:
    connection = by_hand.server()
    assert connection.receive(raw(PRIORITY, 0, 7, bytes(5)) + headers(1), 0.0)
    assert connection.ended is None


def test_a_priority_of_a_stream_on_itself_means_nothing() -> None:
    fields = bytes((0, 0, 0, 1, 255)) + block(REQUEST)
    heard = by_hand.server().receive(
        raw(HEADERS, END_HEADERS | WITH_PRIORITY, 1, fields) + raw(PRIORITY, 0, 1, b"\0\0\0\1\0"),
        0.0,
    )
    assert heard == [HeadersReceived(1, REQUEST, False)]


def test_a_priority_of_another_size_ends_its_stream_or_the_connection_if_that_is_idle() -> None:
    assert resets(by_hand.server(), OPEN + raw(PRIORITY, 0, 1, bytes(4))) == 6
    assert ends(by_hand.server(), raw(PRIORITY, 0, 3, bytes(4))) == ErrorCode.FRAME_SIZE_ERROR
    connection = by_hand.server()
    assert len(connection.receive(OPEN + rst_stream(1) + raw(PRIORITY, 0, 1, bytes(4)), 0.0)) == 2
    assert connection.take_output() == b"", "a closed stream needs no reset"


def test_an_unknown_type_of_frame_is_ignored() -> None:
    heard = by_hand.server().receive(raw(0xFE, 0xFF, 3, b"?") + OPEN + raw(0x10, 0, 1, b"?"), 0.0)
    assert len(heard) == 1


@pytest.mark.parametrize("octets", [raw(DATA, 0, 1, b"x"), headers(1, TRAILERS)])
def test_more_after_the_end_of_a_request_resets_the_stream(octets: bytes) -> None:
    assert resets(by_hand.server(), ENDED + octets) == ErrorCode.STREAM_CLOSED


@pytest.mark.parametrize("octets", [raw(DATA, 0, 1, b"x"), headers(1, TRAILERS)])
def test_more_after_both_have_ended_ends_the_connection(octets: bytes) -> None:
    connection = by_hand.server()
    connection.receive(ENDED, 0.0)
    connection.send_whole(1, RESPONSE, b"", TRAILERS)
    assert ends(connection, octets) == ErrorCode.STREAM_CLOSED


@pytest.mark.parametrize("octets", [raw(DATA, 0, 1, b"x"), headers(1, TRAILERS)])
def test_more_after_the_peers_own_reset_ends_the_connection(octets: bytes) -> None:
    assert ends(by_hand.server(), OPEN + rst_stream(1) + octets) == ErrorCode.STREAM_CLOSED


def test_updates_and_resets_of_closed_streams_are_ignored() -> None:
    connection = by_hand.server()
    connection.receive(ENDED, 0.0)
    connection.send_whole(1, RESPONSE, b"", TRAILERS)
    late = window_update(1, 5) + window_update(1, 0) + rst_stream(1) + raw(PRIORITY, 0, 1, bytes(5))
    assert connection.receive(late, 0.0) == []
    assert connection.ended is None


def test_what_comes_on_a_stream_that_we_reset_is_dropped_but_decoded() -> None:
    client, server = by_hand.pair()
    stream_id = client.open_stream(REQUEST)
    exchange(client, server)
    server.reset(stream_id, ErrorCode.CANCEL)
    client.send_data(stream_id, b"late")
    client.send_headers(stream_id, ((b"user-agent", b"goes to the table"),), end_stream=True)
    assert server.receive(client.take_output(), 0.0) == []
    heard, _ = exchange(client, server)
    assert heard == [StreamReset(stream_id, ErrorCode.CANCEL)]
    client.request((*REQUEST, (b"user-agent", b"goes to the table")), b"")
    assert len(exchange(client, server)[1]) == 2


def test_as_many_resets_as_are_remembered_and_all_before_them_are_tolerated() -> None:
    connection = by_hand.server()
    opened = [2 * i + 1 for i in range(RESETS_REMEMBERED + 50)]
    for stream_id in opened:
        connection.receive(headers(stream_id, flags=END_HEADERS), 0.0)
        connection.reset(stream_id)
        connection.take_output()
    for stream_id in opened:
        assert connection.receive(raw(DATA, 0, stream_id, b"late"), 0.0) == []
    assert connection.ended is None


def test_a_lower_number_than_the_last_ends_the_connection() -> None:
    assert ends(by_hand.server(), headers(5) + headers(3)) == ErrorCode.PROTOCOL_ERROR


def test_of_numbers_that_were_left_out_only_the_last_are_remembered() -> None:
    for stream_id, code in ((3, ErrorCode.STREAM_CLOSED), (7, ErrorCode.PROTOCOL_ERROR)):
        connection = by_hand.server()
        for nth in range(GAPS_REMEMBERED + 1):
            connection.receive(headers(4 * nth + 5), 0.0)
        assert ends(connection, headers(stream_id)) == code


def test_a_stream_that_was_left_out_is_closed() -> None:
    connection = by_hand.server()
    connection.receive(headers(5), 0.0)
    assert connection.receive(window_update(3, 1) + rst_stream(1), 0.0) == []
    assert ends(connection, raw(DATA, 0, 3, b"x")) == ErrorCode.STREAM_CLOSED


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (raw(RST_STREAM, 0, 1, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
        (raw(DATA, PADDED, 1, b"\x05abc"), ErrorCode.PROTOCOL_ERROR),
        (raw(HEADERS, END_HEADERS | PADDED, 3, b"\x05abc"), ErrorCode.PROTOCOL_ERROR),
        (raw(HEADERS, END_HEADERS | WITH_PRIORITY, 3, bytes(4)), ErrorCode.FRAME_SIZE_ERROR),
        (raw(HEADERS, END_HEADERS, 3, b"\xff\xff\xff\xff\xff"), ErrorCode.COMPRESSION_ERROR),
        (raw(HEADERS, END_HEADERS, 3, b"\x80"), ErrorCode.COMPRESSION_ERROR),
    ],
)
def test_what_cannot_be_read_ends_the_connection(octets: bytes, code: int) -> None:
    assert ends(by_hand.server(), OPEN + octets) == code


def test_padding_and_priority_are_no_part_of_a_head() -> None:
    payload = b"\3" + bytes(5) + block(REQUEST) + bytes(3)
    flags = END_HEADERS | PADDED | WITH_PRIORITY
    assert by_hand.server().receive(raw(HEADERS, flags, 1, payload), 0.0) == [
        HeadersReceived(1, REQUEST, False)
    ]


def test_padding_is_no_part_of_the_data_but_of_the_flow() -> None:
    heard = by_hand.server().receive(OPEN + raw(DATA, PADDED, 1, b"\2abc\0\0"), 0.0)
    assert heard[1] == DataReceived(1, b"abc", 6, False)


def test_a_head_may_come_in_parts() -> None:
    octets = block(REQUEST)
    heard = by_hand.server().receive(
        raw(HEADERS, END_STREAM, 1, octets[:3])
        + raw(CONTINUATION, 0, 1, octets[3:40])
        + raw(CONTINUATION, END_HEADERS, 1, octets[40:]),
        0.0,
    )
    assert heard == [HeadersReceived(1, REQUEST, True)]


@pytest.mark.parametrize(
    "octets",
    [
        raw(DATA, 0, 1, b"x"),
        headers(3),
        raw(CONTINUATION, END_HEADERS, 3, b""),
        raw(0xFE, 0, 1),
        raw(by_hand.SETTINGS, 0, 0),
        window_update(0, 1),
    ],
)
def test_nothing_may_come_between_the_parts_of_a_head(octets: bytes) -> None:
    begun = raw(HEADERS, 0, 1, block(REQUEST))
    assert ends(by_hand.server(), begun + octets) == ErrorCode.PROTOCOL_ERROR


def test_parts_end_with_their_head() -> None:
    octets = OPEN + raw(CONTINUATION, END_HEADERS, 1, b"")
    assert ends(by_hand.server(), octets) == ErrorCode.PROTOCOL_ERROR


def test_a_head_larger_than_a_frame_goes_out_in_parts() -> None:
    client = by_hand.client()
    large = tuple((b"x-%d" % i, b"v" * 4_000) for i in range(12))
    client.open_stream(REQUEST + large, end_stream=True)
    frames = sent(client)
    assert [kind for kind, *_ in frames] == [HEADERS, CONTINUATION, CONTINUATION]
    assert [flags for _, flags, *_ in frames] == [END_STREAM, 0, END_HEADERS]
    assert all(len(payload) <= 16_384 for *_, payload in frames)
    whole = b"".join(payload for *_, payload in frames)
    assert Decoder(list_bytes_max=100_000).decode(whole) == REQUEST + large


def test_a_reset_by_the_peer_is_told_with_its_code() -> None:
    heard = by_hand.server().receive(OPEN + rst_stream(1, 0xABC), 0.0)
    assert heard[1] == StreamReset(1, 0xABC)


def test_sending_on_a_stream_that_is_gone_does_nothing() -> None:
    connection = by_hand.server()
    connection.receive(OPEN + rst_stream(1), 0.0)
    connection.send_headers(1, RESPONSE)
    connection.send_data(1, b"x", end_stream=True)
    connection.send_whole(1, RESPONSE, b"x", TRAILERS)
    connection.reset(1)
    connection.give_back(1, 5)
    assert connection.waiting_bytes(1) == 0
    assert connection.take_output() == b""


def test_sending_after_our_own_end_is_a_mistake_of_ours() -> None:
    client = by_hand.client()
    stream_id = client.request(REQUEST, b"")
    with pytest.raises(ValueError, match="stream 1 was ended"):
        client.send_data(stream_id, b"more")


def test_an_early_answer_is_heard_while_the_request_still_goes_on() -> None:
    client, server = by_hand.pair()
    stream_id = client.open_stream(REQUEST)
    exchange(client, server)
    server.send_whole(stream_id, RESPONSE, b"enough", TRAILERS)
    server.reset(stream_id, ErrorCode.NO_ERROR)
    heard, _ = exchange(client, server)
    assert heard[-2:] == [
        TrailersReceived(stream_id, TRAILERS),
        StreamReset(stream_id, ErrorCode.NO_ERROR),
    ]
    assert (client.open_streams, server.open_streams) == (0, 0)


@pytest.mark.parametrize("octets", [headers(2, RESPONSE), raw(DATA, 0, 2, b"x")])
def test_a_server_opens_no_streams(octets: bytes) -> None:
    assert ends(by_hand.client(), octets) == ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("octets", [headers(1, RESPONSE), raw(DATA, 0, 1, b"x"), rst_stream(1)])
def test_an_answer_without_a_request_ends_the_connection(octets: bytes) -> None:
    assert ends(by_hand.client(), octets) == ErrorCode.PROTOCOL_ERROR


def test_a_connection_ends_with_the_last_stream_after_a_stream_error() -> None:
    connection = by_hand.server()
    heard = connection.receive(OPEN + window_update(1, 0) + raw(by_hand.PING, 0, 3, b""), 0.0)
    assert [type(event) for event in heard] == [HeadersReceived, StreamReset, ConnectionEnded]
    assert codes(sent(connection)) == [(1, ErrorCode.PROTOCOL_ERROR), (0, ErrorCode.PROTOCOL_ERROR)]
