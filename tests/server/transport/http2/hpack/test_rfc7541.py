"""RFC 7541 by its sections: each MUST that a peer can provoke."""

import pytest

from server.transport.http2.hpack.decoder import Decoder
from server.transport.http2.hpack.encoder import Encoder
from server.transport.http2.hpack.primitives import HpackError
from server.transport.http2.hpack.static_table import STATIC_TABLE
from tests.server.transport.http2.hpack.hpack_blocks import (
    dynamic_table,
    integer,
    literal,
    size_update,
)

INSERT = 0x40  # with incremental indexing
WITHOUT = 0x00
NEVER = 0x10


def refuses(block: bytes, decoder: Decoder | None = None) -> str:
    """What the error says."""
    with pytest.raises(HpackError) as refused:
        (decoder or Decoder()).decode(block)
    return str(refused.value)


# 2.3.1


def test_rfc7541_2_3_1_every_field_of_the_static_table_has_its_index() -> None:
    block = bytes(range(0x81, 0x81 + 61))
    assert Decoder().decode(block) == STATIC_TABLE
    assert STATIC_TABLE[0] == (b":authority", b"")
    assert STATIC_TABLE[60] == (b"www-authenticate", b"")


# 2.3.2


def test_rfc7541_2_3_2_the_newest_field_has_the_lowest_index() -> None:
    decoder = Decoder()
    decoder.decode(literal(INSERT, b"a", b"1") + literal(INSERT, b"b", b"2"))
    assert dynamic_table(decoder) == [(b"b", b"2"), (b"a", b"1")]


def test_rfc7541_2_3_2_a_field_may_be_in_the_table_twice() -> None:
    decoder = Decoder()
    decoder.decode(2 * literal(INSERT, b"a", b"1"))
    assert dynamic_table(decoder) == [(b"a", b"1"), (b"a", b"1")]


# 2.3.3


def test_rfc7541_2_3_3_an_index_beyond_both_tables_is_an_error() -> None:
    refuses(b"\xbe")


def test_rfc7541_2_3_3_the_name_of_a_literal_beyond_both_tables_is_an_error() -> None:
    refuses(b"\x7e\x011")


def test_rfc7541_2_3_3_an_index_beyond_the_dynamic_table_is_an_error() -> None:
    decoder = Decoder()
    decoder.decode(literal(INSERT, b"a", b"1"))
    assert decoder.decode(b"\xbe") == ((b"a", b"1"),)
    refuses(b"\xbf", decoder)


def test_rfc7541_2_3_3_an_index_of_many_octets_beyond_both_tables_is_an_error() -> None:
    refuses(integer(0x80, 0x7F, 100_000))


def test_rfc7541_2_3_3_the_oldest_of_a_full_table_is_found_by_an_index_of_two_octets() -> None:
    decoder = Decoder()
    decoder.decode(b"".join(literal(INSERT, b"", b"%d" % n) for n in range(10, 100)))
    assert decoder.decode(integer(0x80, 0x7F, 61 + 90)) == ((b"", b"10"),)


# 3.2


def test_rfc7541_3_2_headers_keep_their_order() -> None:
    block = literal(WITHOUT, b"b", b"1") + b"\x82" + literal(INSERT, b"a", b"2") + b"\x82"
    method = (b":method", b"GET")
    assert Decoder().decode(block) == ((b"b", b"1"), method, (b"a", b"2"), method)


# 4.1


def test_rfc7541_4_1_a_field_counts_its_octets_and_32() -> None:
    decoder = Decoder()
    decoder.decode(size_update(34 + 34) + literal(INSERT, b"a", b"1") + literal(INSERT, b"b", b"2"))
    assert dynamic_table(decoder) == [(b"b", b"2"), (b"a", b"1")]
    decoder.decode(size_update(34 + 33))
    assert dynamic_table(decoder) == [(b"b", b"2")]


# 4.2


def test_rfc7541_4_2_a_table_size_behind_a_field_is_an_error() -> None:
    assert "beginning of a block" in refuses(b"\x82" + size_update(100))


def test_rfc7541_4_2_a_block_without_the_table_size_that_a_lower_limit_needs_is_an_error() -> None:
    decoder = Decoder()
    decoder.decode(b"\x82")
    decoder.table_size(100)
    assert "at most 100" in refuses(b"\x82", decoder)


def test_rfc7541_4_2_an_empty_block_has_to_begin_with_it_too() -> None:
    decoder = Decoder()
    decoder.table_size(100)
    refuses(b"", decoder)


def test_rfc7541_4_2_a_table_size_above_the_smallest_limit_since_the_last_block_is_an_error() -> (
    None
):
    decoder = Decoder()
    decoder.table_size(100)
    decoder.table_size(1_000)
    refuses(size_update(1_000) + b"\x82", decoder)


def test_rfc7541_4_2_the_smallest_and_the_final_size_are_what_it_takes() -> None:
    decoder = Decoder()
    decoder.table_size(100)
    decoder.table_size(1_000)
    decoder.decode(size_update(100) + size_update(1_000) + b"\x82")
    decoder.decode(b"\x82")


def test_rfc7541_4_2_a_peer_that_uses_less_than_the_new_limit_owes_nothing() -> None:
    decoder = Decoder()
    decoder.decode(size_update(50))
    decoder.table_size(100)
    assert decoder.decode(b"\x82") == ((b":method", b"GET"),)


def test_rfc7541_4_2_our_encoder_says_the_smallest_size_and_then_the_final() -> None:
    encoder = Encoder()
    for table_bytes in (1_000, 100, 500):
        encoder.table_size(table_bytes)
    block = encoder.encode([(b":method", b"GET")])
    assert block == size_update(100) + size_update(500) + b"\x82"
    assert encoder.encode([(b":method", b"GET")]) == b"\x82"


def test_rfc7541_4_2_our_encoder_says_nothing_of_a_limit_that_it_does_not_use() -> None:
    encoder = Encoder()
    encoder.table_size(65_536)
    assert encoder.encode([(b":method", b"GET")]) == b"\x82"


# 4.3


def test_rfc7541_4_3_a_smaller_table_drops_its_oldest_fields() -> None:
    decoder = Decoder()
    decoder.decode(b"".join(literal(INSERT, name, b"1") for name in (b"a", b"b", b"c")))
    decoder.decode(size_update(34))
    assert dynamic_table(decoder) == [(b"c", b"1")]


def test_rfc7541_4_3_size_0_empties_the_table_which_can_then_grow_again() -> None:
    decoder = Decoder()
    decoder.decode(literal(INSERT, b"a", b"1"))
    decoder.decode(size_update(0) + size_update(4_096) + literal(INSERT, b"b", b"2"))
    assert dynamic_table(decoder) == [(b"b", b"2")]


# 4.4


def test_rfc7541_4_4_a_field_larger_than_the_table_empties_it_and_is_no_error() -> None:
    decoder = Decoder()
    decoder.decode(literal(INSERT, b"a", b"1"))
    large = (b"b", b"2" * 4_096)
    assert decoder.decode(literal(INSERT, *large)) == (large,)
    assert dynamic_table(decoder) == []


def test_rfc7541_4_4_a_name_may_be_that_of_the_field_which_is_dropped_for_it() -> None:
    decoder = Decoder()
    decoder.decode(size_update(40) + literal(INSERT, b"name", b"1"))
    assert decoder.decode(b"\x7e\x012") == ((b"name", b"2"),)
    assert dynamic_table(decoder) == [(b"name", b"2")]


# 5.1


@pytest.mark.parametrize("prefix", [b"\xff", b"\x7f", b"\x3f", b"\x1f", b"\x0f", b"\x00\x7f"])
def test_rfc7541_5_1_an_integer_of_too_many_octets_is_an_error(prefix: bytes) -> None:
    assert "octets" in refuses(prefix + b"\x80" * 4 + b"\x00")


@pytest.mark.parametrize("prefix", [b"\xff", b"\x7f", b"\x3f", b"\x1f", b"\x0f", b"\x00\x7f"])
def test_rfc7541_5_1_the_largest_integer_that_is_read_is_no_index_size_or_length(
    prefix: bytes,
) -> None:
    refuses(prefix + b"\xff\xff\xff\x7f")


@pytest.mark.parametrize("prefix", [b"\xff", b"\x7f", b"\x3f", b"\x1f", b"\x0f", b"\x00\x7f"])
def test_rfc7541_5_1_an_integer_that_ends_with_the_block_is_an_error(prefix: bytes) -> None:
    refuses(prefix)
    refuses(prefix + b"\x80")


def test_rfc7541_5_1_zeros_behind_an_integer_do_not_change_it() -> None:
    assert Decoder().decode(b"\x0f\x80\x80\x00\x011") == ((b"accept-charset", b"1"),)


# 5.2


@pytest.mark.parametrize("length", [1, 126, 127, 128, 300])
def test_rfc7541_5_2_a_string_is_as_long_as_it_says(length: int) -> None:
    field = (b"n" * length, b"v" * length)
    assert Decoder().decode(literal(WITHOUT, *field)) == (field,)


def test_rfc7541_5_2_a_name_and_a_value_may_be_empty() -> None:
    assert Decoder().decode(b"\x00\x00\x00") == ((b"", b""),)


@pytest.mark.parametrize("end", range(1, 8))
def test_rfc7541_5_2_a_block_that_ends_inside_a_string_is_an_error(end: int) -> None:
    refuses(literal(WITHOUT, b"abc", b"123")[:end])


@pytest.mark.parametrize("end", [2, 4, 130])
def test_rfc7541_5_2_a_block_that_ends_inside_a_long_string_is_an_error(end: int) -> None:
    refuses(literal(WITHOUT, b"n" * 200, b"123")[:end])


def test_rfc7541_5_2_a_huffman_coded_name_and_value_are_decoded() -> None:
    assert Decoder().decode(b"\x00\x81\x1f\x81\x0f") == ((b"a", b"1"),)


def test_rfc7541_5_2_padding_longer_than_7_bits_is_an_error() -> None:
    assert "padding" in refuses(b"\x0f\x00\x82\x1f\xff")


def test_rfc7541_5_2_padding_that_is_not_all_ones_is_an_error() -> None:
    assert "padding" in refuses(b"\x0f\x00\x81\x18")


def test_rfc7541_5_2_a_whole_octet_of_padding_alone_is_an_error() -> None:
    assert "padding" in refuses(b"\x0f\x00\x81\xff")


def test_rfc7541_5_2_eos_inside_a_string_is_an_error() -> None:
    refuses(b"\x0f\x00\x84\xff\xff\xff\xff")
    assert "EOS" in refuses(b"\x0f\x00\x85\xff\xff\xff\xff\xff")


# 6.1


def test_rfc7541_6_1_index_0_is_an_error() -> None:
    assert "index 0" in refuses(b"\x80")


# 6.2


def test_rfc7541_6_2_1_a_literal_with_incremental_indexing_is_inserted() -> None:
    decoder = Decoder()
    decoder.decode(literal(INSERT, b"a", b"1"))
    assert dynamic_table(decoder) == [(b"a", b"1")]


@pytest.mark.parametrize("kind", [WITHOUT, NEVER])
def test_rfc7541_6_2_2_and_3_other_literals_are_not_inserted(kind: int) -> None:
    decoder = Decoder()
    assert decoder.decode(literal(kind, b"a", b"1")) == ((b"a", b"1"),)
    assert dynamic_table(decoder) == []


@pytest.mark.parametrize("kind", [b"\x41", b"\x01", b"\x11"])
def test_rfc7541_6_2_the_name_may_be_an_index(kind: bytes) -> None:
    assert Decoder().decode(kind + b"\x04host") == ((b":authority", b"host"),)


# 6.3


def test_rfc7541_6_3_a_table_size_above_the_limit_is_an_error() -> None:
    assert "at most 4096" in refuses(size_update(4_097))


def test_rfc7541_6_3_a_limit_that_was_raised_may_be_used() -> None:
    decoder = Decoder()
    decoder.table_size(8_192)
    decoder.decode(size_update(8_192) + literal(INSERT, b"a", b"1" * 5_000))
    assert dynamic_table(decoder) == [(b"a", b"1" * 5_000)]


def test_rfc7541_6_3_a_limit_that_was_raised_is_not_used_before_the_peer_says_so() -> None:
    decoder = Decoder()
    decoder.table_size(8_192)
    decoder.decode(literal(INSERT, b"a", b"1" * 5_000))
    assert dynamic_table(decoder) == []


# 7.1.3


@pytest.mark.parametrize("name", [b"authorization", b"cookie", b"x-api-key"])
def test_rfc7541_7_1_3_our_encoder_never_indexes_what_is_secret(name: bytes) -> None:
    encoder, decoder = Encoder(), Decoder()
    block = encoder.encode([(name, b"secret")])
    assert block[0] & 0xF0 == NEVER
    assert decoder.decode(block) == ((name, b"secret"),)
