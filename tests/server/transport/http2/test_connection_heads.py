"""What makes a message malformed, which ends its stream alone: RFC 9113, section 8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport.http2.connection import Connection
from server.transport.http2.errors import ErrorCode, StreamFault
from server.transport.http2.events import (
    DataReceived,
    HeadersReceived,
    StreamReset,
    TrailersReceived,
)
from server.transport.http2.fields import (
    FIELDS_REMEMBERED,
    NO_LENGTH,
    TUPLES_REMEMBERED,
    OncePerTuple,
    check_request,
    check_response,
    check_trailers,
)
from server.transport.http2.hpack.table import Header
from tests.server.transport.http2 import by_hand
from tests.server.transport.http2.by_hand import (
    DATA,
    END_HEADERS,
    END_STREAM,
    PADDED,
    REQUEST,
    RESPONSE,
    TRAILERS,
    codes,
    headers,
    raw,
    sent,
)

Fields = tuple[Header, ...]

METHOD, SCHEME, PATH, AUTHORITY = REQUEST[:4]
BAD_FIELDS = [
    (b"Upper", b"x"),
    (b"", b"x"),
    (b"with space", b"x"),
    (b"with:colon", b"x"),
    (b"null\0", b"x"),
    (b"high\x80", b"x"),
    (b"del\x7f", b"x"),
    (b"x", b"null\0"),
    (b"x", b"line\nfeed"),
    (b"x", b"return\r"),
    (b"x", b" in front"),
    (b"x", b"behind\t"),
    (b"x", b" "),
    (b"connection", b"close"),
    (b"keep-alive", b"1"),
    (b"proxy-connection", b"close"),
    (b"transfer-encoding", b"chunked"),
    (b"upgrade", b"h2c"),
    (b"te", b"gzip"),
    (b"te", b""),
    (b"te", b"trailers, deflate"),
    (b"traceparent", b"new\neach call"),
    (b":unknown", b"x"),
    (b":path", b"/again"),
]
BAD_REQUESTS = {
    "nothing": (),
    "no method": (SCHEME, PATH, AUTHORITY),
    "no scheme": (METHOD, PATH, AUTHORITY),
    "no path": (METHOD, SCHEME, AUTHORITY),
    "empty path": (METHOD, SCHEME, (b":path", b"")),
    "relative path": (METHOD, SCHEME, (b":path", b"a/b")),
    "star": (METHOD, SCHEME, (b":path", b"*")),
    "two methods": (METHOD, METHOD, SCHEME, PATH),
    "two paths": (METHOD, SCHEME, PATH, PATH, AUTHORITY),
    "five pseudo-headers": (METHOD, SCHEME, PATH, AUTHORITY, PATH),
    "status": (METHOD, SCHEME, PATH, (b":status", b"200")),
    "protocol": (METHOD, SCHEME, PATH, AUTHORITY, (b":protocol", b"websocket")),
    "pseudo-header behind a field": (METHOD, SCHEME, (b"te", b"trailers"), PATH),
    "method no token": ((b":method", b"P OST"), SCHEME, PATH),
    "scheme": (METHOD, (b":scheme", b"1http"), PATH),
    "user": (METHOD, SCHEME, PATH, (b":authority", b"me@here")),
    "line feed in a path": (METHOD, SCHEME, (b":path", b"/a\nb")),
    "space before an authority": (METHOD, SCHEME, PATH, (b":authority", b" x")),
    "other host": (METHOD, SCHEME, PATH, AUTHORITY, (b"host", b"elsewhere")),
    "CONNECT to a path": ((b":method", b"CONNECT"), PATH, AUTHORITY),
    "CONNECT to nowhere": ((b":method", b"CONNECT"),),
    "length no number": (*REQUEST, (b"content-length", b"+1")),
    "length negative": (*REQUEST, (b"content-length", b"-1")),
    "two lengths": (*REQUEST, (b"content-length", b"1"), (b"content-length", b"2")),
}
GOOD_REQUESTS = {
    "without authority": (METHOD, SCHEME, PATH),
    "in another order": (AUTHORITY, PATH, SCHEME, METHOD),
    "host": (METHOD, SCHEME, PATH, (b"host", b"here"), (b"te", b"trailers")),
    "the same host": (METHOD, SCHEME, PATH, AUTHORITY, (b"host", b"LOCALHOST")),
    "OPTIONS": ((b":method", b"OPTIONS"), SCHEME, (b":path", b"*")),
    "CONNECT": ((b":method", b"CONNECT"), AUTHORITY),
    "any value": (
        *REQUEST,
        (b"x", b""),
        (b"x", b"a b\tc \x80\xff\x01"),
        (b"!#$%&'*+.^_`|~09", b""),
    ),
    "new each call": (*REQUEST, (b"traceparent", b"00-1-2-01"), (b"grpc-timeout", b"1S")),
    "a length twice": (*REQUEST, (b"content-length", b"1"), (b"content-length", b"1")),
}


@pytest.mark.parametrize("field", BAD_FIELDS, ids=str)
def test_a_field_that_may_not_be_makes_any_message_malformed(field: Header) -> None:
    for malformed in (
        lambda: check_request((*REQUEST, field)),
        lambda: check_response((*RESPONSE, field)),
        lambda: check_trailers((*TRAILERS, field)),
    ):
        for _ in range(2):  # the second time too
            with pytest.raises(StreamFault) as caught:
                malformed()
            assert caught.value.code is ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("fields", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_a_malformed_request_resets_its_stream_and_is_not_told(fields: Fields) -> None:
    connection = by_hand.server()
    assert connection.receive(headers(1, fields), 0.0) == []
    assert codes(sent(connection)) == [(1, ErrorCode.PROTOCOL_ERROR)]
    assert connection.open_streams == 0
    assert connection.receive(headers(3), 0.0)


@pytest.mark.parametrize("fields", GOOD_REQUESTS.values(), ids=GOOD_REQUESTS)
def test_a_well_formed_request_is_told_as_it_came(fields: Fields) -> None:
    heard = by_hand.server().receive(headers(1, fields, flags=END_HEADERS), 0.0)
    assert heard == [HeadersReceived(1, fields, False)]


def calling() -> Connection:
    """A client that waits for the answer on stream 1."""
    connection = by_hand.client()
    connection.request(REQUEST, b"")
    connection.take_output()
    return connection


@pytest.mark.parametrize(
    "octets",
    [
        headers(1, ()),
        headers(1, TRAILERS),
        headers(1, ((b":status", b"20"),)),
        headers(1, ((b":status", b"200 "),)),
        headers(1, ((b":status", b"999"),)),
        headers(1, (*TRAILERS, (b":status", b"200"))),
        headers(1, (*RESPONSE, (b":status", b"200"))),
        headers(1, REQUEST),
        headers(1, ((b":status", b"100"),)),
        headers(1, ((b":status", b"101"),), flags=END_HEADERS),
        raw(DATA, 0, 1, b"before the head"),
    ],
)
def test_a_malformed_response_resets_its_stream(octets: bytes) -> None:
    connection = calling()
    assert [event[:2] for event in connection.receive(octets, 0.0)] == [(1, 1)]
    assert codes(sent(connection)) == [(1, ErrorCode.PROTOCOL_ERROR)]


def test_interim_responses_are_swallowed() -> None:
    heard = calling().receive(
        headers(1, ((b":status", b"100"),), flags=END_HEADERS)
        + headers(1, ((b":status", b"103"), (b"link", b"x")), flags=END_HEADERS)
        + headers(1, RESPONSE),
        0.0,
    )
    assert heard == [HeadersReceived(1, RESPONSE, True)]


@pytest.mark.parametrize(
    "octets",
    [
        headers(1, TRAILERS, flags=END_HEADERS),
        headers(1, (*TRAILERS, (b":status", b"200"))),
        headers(1, ((b"Grpc-Status", b"0"),)),
    ],
)
def test_malformed_trailers_reset_their_stream(octets: bytes) -> None:
    connection = calling()
    heard = connection.receive(headers(1, RESPONSE, flags=END_HEADERS) + octets, 0.0)
    assert [event[:2] for event in heard[1:]] == [(1, ErrorCode.PROTOCOL_ERROR)]


def with_length(said: bytes, *frames: bytes) -> list[type]:
    head = headers(1, (*REQUEST, (b"content-length", said)), flags=END_HEADERS)
    heard = by_hand.server().receive(head + b"".join(frames), 0.0)
    return [type(event) for event in heard]


def test_content_length_is_the_sum_of_the_data_without_padding() -> None:
    end = raw(DATA, END_STREAM | PADDED, 1, b"\3cd\0\0\0")
    assert with_length(b"4", raw(DATA, 0, 1, b"ab"), end)[-1] is DataReceived
    assert with_length(b"2", raw(DATA, 0, 1, b"ab"), headers(1, TRAILERS))[-1] is TrailersReceived
    assert with_length(b"0", raw(DATA, END_STREAM, 1))[-1] is DataReceived


@pytest.mark.parametrize(
    ("said", "frames"),
    [
        (b"1", [raw(DATA, 0, 1, b"ab")]),
        (b"3", [raw(DATA, END_STREAM, 1, b"ab")]),
        (b"1", [raw(DATA, END_STREAM, 1, b"ab")]),
        (b"1", [headers(1, TRAILERS)]),
        (b"0", [raw(DATA, 0, 1, b"a")]),
    ],
)
def test_another_sum_resets_the_stream(said: bytes, frames: list[bytes]) -> None:
    heard = with_length(said, *frames)
    assert heard[-1] is StreamReset
    assert len(heard) <= 2, "what is malformed does not end as if it were whole"


def test_a_request_that_promises_content_and_ends_is_malformed() -> None:
    connection = by_hand.server()
    connection.receive(headers(1, (*REQUEST, (b"content-length", b"1"))), 0.0)
    assert codes(sent(connection)) == [(1, ErrorCode.PROTOCOL_ERROR)]


def test_a_response_without_content_may_say_how_long_it_would_be() -> None:
    fields = ((b":status", b"304"), (b"content-length", b"99"))
    assert calling().receive(headers(1, fields), 0.0) == [HeadersReceived(1, fields, True)]
    assert check_response(((b":status", b"200"), (b"content-length", b"99"))) == (200, 99)


def test_what_was_found_right_is_forgotten_when_there_is_too_much_of_it() -> None:
    for i in range(3 * FIELDS_REMEMBERED):
        assert check_request((*REQUEST, (b"x", b"%d" % i))) == NO_LENGTH


def test_a_tuple_that_repeats_is_looked_at_once_or_twice() -> None:
    looked_at: list[Fields] = []
    once = OncePerTuple(looked_at.append)
    for _ in range(5):
        once(REQUEST)
        once(RESPONSE)
        once(RESPONSE)
    assert looked_at.count(RESPONSE) == 2


def test_of_tuples_that_repeat_only_so_many_are_kept() -> None:
    looked_at: list[Fields] = []
    once = OncePerTuple(looked_at.append)
    others: list[Fields] = [((b"x", b"%d" % i),) for i in range(TUPLES_REMEMBERED)]
    for fields in (REQUEST, *others):
        once(fields)
        once(fields)
    once(REQUEST)
    assert looked_at.count(REQUEST) == 3


names = st.binary(max_size=6)
values = st.binary(max_size=6)
# Section 8.2.1, read once more and octet by octet.
FORBIDDEN_IN_NAMES = {*range(0x21), *range(0x41, 0x5B), *range(0x7F, 0x100), 0x3A}


@given(names, values)
def test_the_characters_of_fields_are_those_of_the_rfc(name: bytes, value: bytes) -> None:
    right = (
        name != b""
        and not FORBIDDEN_IN_NAMES & {*name}
        and not {0, 10, 13} & {*value}
        and value == value.strip(b" \t")
        and name != b"te"  # whose one value is longer than these
    )
    try:
        check_trailers(((name, value),))
    except StreamFault:
        assert not right
    else:
        assert right
