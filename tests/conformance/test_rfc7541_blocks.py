"""RFC 7541 over the wire: blocks that cannot be decoded end the connection."""

import pytest

from server.transport.http2.errors import ErrorCode
from tests.conformance.peer import MESSAGE, Peer
from tests.server.transport.http2.by_hand import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    REQUEST,
    block,
    raw,
)

UNDECODABLE = {
    "2_3_3_an_index_beyond_both_tables": b"\xff\x80\x01",
    "4_2_a_table_size_behind_a_field": block(REQUEST) + b"\x20",
    "5_1_an_integer_that_does_not_end": b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    "5_2_a_string_longer_than_its_block": b"\x00\x05abc",
    "5_2_padding_longer_than_seven_bits": b"\x00\x01x\x82\x1f\xff",
    "5_2_padding_of_zeros": b"\x00\x01x\x81\x18",
    "5_2_the_end_of_string_symbol": b"\x00\x01x\x84\xff\xff\xff\xff",
    "6_1_index_0": b"\x80",
    "6_2_a_literal_without_a_value": b"\x00\x01x",
    "6_3_a_table_size_above_the_setting": b"\x3f\xff\xff\x3f" + block(REQUEST),
}


@pytest.mark.parametrize("octets", UNDECODABLE.values(), ids=UNDECODABLE)
async def test_a_block_that_cannot_be_decoded_ends_the_connection(
    peer: Peer, octets: bytes
) -> None:
    peer.say(raw(HEADERS, END_HEADERS | END_STREAM, 1, octets))
    await peer.ended(ErrorCode.COMPRESSION_ERROR)


DECODABLE = {
    "4_2_two_table_sizes_in_front": b"\x20\x3f\xe1\x1f" + block(REQUEST),
    "5_2_huffman": block(REQUEST) + b"\x00\x01x\x81\x1f",  # a: 00011, and ones
    "6_2_1_with_indexing": block(REQUEST) + b"\x40\x01x\x01y" + b"\xbe",
    "6_2_3_never_indexed": block(REQUEST) + b"\x10\x01x\x01y",
}


@pytest.mark.parametrize("octets", DECODABLE.values(), ids=DECODABLE)
async def test_any_other_block_is_decoded(peer: Peer, octets: bytes) -> None:
    peer.say(raw(HEADERS, END_HEADERS, 1, octets) + raw(DATA, END_STREAM, 1, MESSAGE))
    await peer.echoed()


async def test_2_2_the_table_lasts_from_block_to_block(peer: Peer) -> None:
    peer.say(raw(HEADERS, END_HEADERS, 1, block(REQUEST[:4]) + b"\x40\x02te\x08trailers"))
    peer.say(raw(DATA, END_STREAM, 1, MESSAGE))
    await peer.answer()
    peer.say(raw(HEADERS, END_HEADERS, 3, block(REQUEST[:4]) + b"\xbe" + block(REQUEST[5:])))
    peer.say(raw(DATA, END_STREAM, 3, MESSAGE))
    await peer.echoed(3)
