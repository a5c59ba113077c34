"""RFC 9113, sections 7 and 8: error codes, and requests that are malformed or not."""

import pytest

from server.transport.http2.errors import ErrorCode
from server.transport.http2.hpack.table import Header
from tests.conformance.peer import BEGUN, ECHO, MESSAGE, Peer
from tests.server.transport.http2.by_hand import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    REQUEST,
    TRAILERS,
    headers,
    raw,
    rst_stream,
)

METHOD, SCHEME, PATH, AUTHORITY, *FIELDS = REQUEST


async def test_7_an_unknown_code_of_a_reset_means_nothing_special(peer: Peer) -> None:
    peer.say(BEGUN + rst_stream(1, 0xFFFF))
    await peer.alive()


async def test_7_an_unknown_code_of_a_goaway_means_nothing_special(peer: Peer) -> None:
    peer.say(BEGUN + raw(GOAWAY, 0, 0, b"\0\0\0\0\0\0\xff\xff"))
    peer.say(raw(DATA, END_STREAM, 1, MESSAGE))
    await peer.echoed()


async def test_8_1_a_request_may_end_with_trailers(peer: Peer) -> None:
    peer.say(BEGUN + raw(DATA, 0, 1, MESSAGE) + headers(1, ((b"x", b"y"),)))
    await peer.echoed()


async def test_8_1_a_second_head_that_does_not_end_the_stream_is_malformed(peer: Peer) -> None:
    peer.say(BEGUN + raw(DATA, 0, 1, MESSAGE) + headers(1, TRAILERS, flags=END_HEADERS))
    await peer.reset(1, ErrorCode.PROTOCOL_ERROR)


async def test_8_1_a_malformed_request_is_not_processed(peer: Peer) -> None:
    peer.say(headers(1, (*REQUEST, (b"X", b"y"))) + ECHO.replace(b"\0\0\0\1", b"\0\0\0\3"))
    await peer.reset(1, ErrorCode.PROTOCOL_ERROR)


LENGTHS: dict[str, tuple[bytes, list[bytes]]] = {
    "too long": (b"1", [raw(DATA, END_STREAM, 1, b"test")]),
    "too long in several frames": (
        b"5",
        [raw(DATA, 0, 1, b"test"), raw(DATA, END_STREAM, 1, b"test")],
    ),
    "too short": (b"5", [raw(DATA, END_STREAM, 1, b"test")]),
    "too short before trailers": (b"5", [raw(DATA, 0, 1, b"test"), headers(1, TRAILERS)]),
    "no number": (b"4x", [raw(DATA, END_STREAM, 1, b"test")]),
}


@pytest.mark.parametrize(("said", "frames"), LENGTHS.values(), ids=LENGTHS)
async def test_8_1_1_content_of_another_length_than_said_is_malformed(
    peer: Peer, said: bytes, frames: list[bytes]
) -> None:
    peer.say(headers(1, (*REQUEST, (b"content-length", said)), flags=END_HEADERS))
    peer.say(b"".join(frames))
    await peer.reset(1, ErrorCode.PROTOCOL_ERROR)


async def test_8_1_1_content_as_long_as_said_is_right(peer: Peer) -> None:
    length = (b"content-length", b"%d" % len(MESSAGE))
    peer.say(headers(1, (*REQUEST, length), flags=END_HEADERS))
    peer.say(raw(DATA, END_STREAM, 1, MESSAGE))
    await peer.echoed()


BAD_FIELDS: dict[str, Header] = {
    "8_2_a_name_with_a_capital": (b"X-Test", b"ok"),
    "8_2_1_a_name_with_a_space": (b"x test", b"ok"),
    "8_2_1_a_name_with_a_control": (b"x\x01", b"ok"),
    "8_2_1_a_name_beyond_ascii": (b"x\xc3\xa4", b"ok"),
    "8_2_1_a_name_with_a_colon": (b"x:y", b"ok"),
    "8_2_1_a_value_with_nul": (b"x", b"o\0k"),
    "8_2_1_a_value_with_a_line_feed": (b"x", b"o\nk"),
    "8_2_1_a_value_with_a_carriage_return": (b"x", b"o\rk"),
    "8_2_1_a_value_with_a_space_in_front": (b"x", b" ok"),
    "8_2_1_a_value_with_a_tab_behind": (b"x", b"ok\t"),
    "8_2_2_connection": (b"connection", b"keep-alive"),
    "8_2_2_proxy_connection": (b"proxy-connection", b"keep-alive"),
    "8_2_2_keep_alive": (b"keep-alive", b"timeout=5"),
    "8_2_2_transfer_encoding": (b"transfer-encoding", b"chunked"),
    "8_2_2_upgrade": (b"upgrade", b"h2c"),
    "8_2_2_te_with_more_than_trailers": (b"te", b"trailers, deflate"),
    "8_3_a_pseudo_header_behind_fields": (b":authority", b"elsewhere"),
    "8_3_1_a_host_that_is_not_the_authority": (b"host", b"elsewhere"),
}


@pytest.mark.parametrize("field", BAD_FIELDS.values(), ids=BAD_FIELDS)
async def test_8_2_a_field_that_may_not_be_is_malformed(peer: Peer, field: Header) -> None:
    peer.say(headers(1, (*REQUEST, field)))
    await peer.reset(1, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "field", [(b"x", b""), (b"x", b"a b\tc"), (b"x", b"\x80\xff"), (b"te", b"trailers")], ids=str
)
async def test_8_2_any_other_field_is_taken(peer: Peer, field: Header) -> None:
    peer.say(headers(1, (*REQUEST, field), flags=END_HEADERS))
    peer.say(raw(DATA, END_STREAM, 1, MESSAGE))
    await peer.echoed()


BAD_HEADS: dict[str, tuple[Header, ...]] = {
    "8_3_an_unknown_pseudo_header": ((b":test", b"ok"), METHOD, SCHEME, PATH, AUTHORITY),
    "8_3_a_pseudo_header_of_responses": (METHOD, SCHEME, PATH, (b":status", b"200")),
    "8_3_a_field_between_pseudo_headers": (METHOD, SCHEME, (b"x", b"y"), PATH),
    "8_3_no_pseudo_header": tuple(FIELDS),
    "8_3_1_no_method": (SCHEME, PATH, AUTHORITY),
    "8_3_1_no_scheme": (METHOD, PATH, AUTHORITY),
    "8_3_1_no_path": (METHOD, SCHEME, AUTHORITY),
    "8_3_1_an_empty_path": (METHOD, SCHEME, (b":path", b""), AUTHORITY),
    "8_3_1_two_methods": (METHOD, METHOD, SCHEME, PATH),
    "8_3_1_two_schemes": (METHOD, SCHEME, SCHEME, PATH),
    "8_3_1_two_paths": (METHOD, SCHEME, PATH, PATH),
    "8_3_1_two_authorities": (METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY),
    "8_3_1_a_user_in_the_authority": (METHOD, SCHEME, PATH, (b":authority", b"me@here")),
    "8_5_a_connect_with_a_path": ((b":method", b"CONNECT"), SCHEME, PATH, AUTHORITY),
    "8_5_a_connect_without_an_authority": ((b":method", b"CONNECT"),),
}


@pytest.mark.parametrize("fields", BAD_HEADS.values(), ids=BAD_HEADS)
async def test_8_3_a_head_without_what_it_needs_is_malformed(
    peer: Peer, fields: tuple[Header, ...]
) -> None:
    peer.say(headers(1, fields))
    await peer.reset(1, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("field", [METHOD, (b":status", b"200")], ids=str)
async def test_8_1_a_pseudo_header_in_trailers_is_malformed(peer: Peer, field: Header) -> None:
    peer.say(BEGUN + raw(DATA, 0, 1, MESSAGE) + headers(1, (field,)))
    await peer.reset(1, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT"])
async def test_8_3_1_a_request_that_is_no_call_is_answered(peer: Peer, method: bytes) -> None:
    fields = ((b":method", method), SCHEME, PATH, AUTHORITY)
    peer.say(headers(1, (fields[0], AUTHORITY) if method == b"CONNECT" else fields))
    assert (await peer.answer()).head[0][0] == b":status"


async def test_8_4_a_push_of_a_client_ends_the_connection(peer: Peer) -> None:
    peer.say(BEGUN + raw(5, END_HEADERS, 1, b"\0\0\0\2"))
    await peer.ended(ErrorCode.PROTOCOL_ERROR)
