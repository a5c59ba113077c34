"""The examples of RFC 7541, Appendix C."""

import pytest

from server.transport.http2.hpack.decoder import Decoder
from server.transport.http2.hpack.table import Header
from tests.server.transport.http2.hpack.hpack_blocks import (
    dynamic_table,
    integer,
    size_update,
)

# Appendix C

GET_HTTP = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"))
EXAMPLE = (b":authority", b"www.example.com")


REQUESTS: list[tuple[Header, ...]] = [
    (*GET_HTTP, EXAMPLE),
    (*GET_HTTP, EXAMPLE, (b"cache-control", b"no-cache")),
    (
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":path", b"/index.html"),
        EXAMPLE,
        (b"custom-key", b"custom-value"),
    ),
]


PRIVATE = (b"cache-control", b"private")
DATE_21 = (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT")
DATE_22 = (b"date", b"Mon, 21 Oct 2013 20:13:22 GMT")
LOCATION = (b"location", b"https://www.example.com")
GZIP = (b"content-encoding", b"gzip")
COOKIE = (b"set-cookie", b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1")


RESPONSES: list[tuple[Header, ...]] = [
    ((b":status", b"302"), PRIVATE, DATE_21, LOCATION),
    ((b":status", b"307"), PRIVATE, DATE_21, LOCATION),
    ((b":status", b"200"), PRIVATE, DATE_22, LOCATION, GZIP, COOKIE),
]


@pytest.mark.parametrize(
    ("kind", "prefix", "value", "octets"),
    [(0, 0x1F, 10, "0a"), (0, 0x1F, 1_337, "1f9a0a"), (0, 0xFF, 42, "2a")],
)
def test_rfc7541_c_1_integers(kind: int, prefix: int, value: int, octets: str) -> None:
    assert integer(kind, prefix, value) == bytes.fromhex(octets)


@pytest.mark.parametrize(
    ("block", "field", "inserted"),
    [
        (
            "400a637573746f6d2d6b65790d637573746f6d2d686561646572",
            (b"custom-key", b"custom-header"),
            True,
        ),
        ("040c2f73616d706c652f70617468", (b":path", b"/sample/path"), False),
        ("100870617373776f726406736563726574", (b"password", b"secret"), False),
        ("82", (b":method", b"GET"), False),
    ],
)
def test_rfc7541_c_2_fields(block: str, field: Header, inserted: bool) -> None:
    decoder = Decoder()
    assert decoder.decode(bytes.fromhex(block)) == (field,)
    assert dynamic_table(decoder) == ([field] if inserted else [])


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param(
            [
                "828684410f7777772e6578616d706c652e636f6d",
                "828684be58086e6f2d6361636865",
                "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
            ],
            id="c_3",
        ),
        pytest.param(
            [
                "828684418cf1e3c2e5f23a6ba0ab90f4ff",
                "828684be5886a8eb10649cbf",
                "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
            ],
            id="c_4_huffman",
        ),
    ],
)
def test_rfc7541_c_3_and_4_requests(blocks: list[str]) -> None:
    decoder = Decoder()
    assert [decoder.decode(bytes.fromhex(block)) for block in blocks] == REQUESTS
    assert dynamic_table(decoder) == [REQUESTS[2][4], REQUESTS[1][4], EXAMPLE]


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param(
            [
                "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a3231"
                "20474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
                "4803333037c1c0bf",
                "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738"
                "666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d33"
                "3630303b2076657273696f6e3d31",
            ],
            id="c_5",
        ),
        pytest.param(
            [
                "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad17"
                "1863c78f0b97c8e9ae82ae43d3",
                "4883640effc1c0bf",
                "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7"
                "b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
            ],
            id="c_6_huffman",
        ),
    ],
)
def test_rfc7541_c_5_and_6_responses_with_a_table_of_256(blocks: list[str]) -> None:
    decoder = Decoder()
    decoder.decode(size_update(256))
    assert [decoder.decode(bytes.fromhex(block)) for block in blocks] == RESPONSES
    assert dynamic_table(decoder) == [COOKIE, GZIP, DATE_22]
