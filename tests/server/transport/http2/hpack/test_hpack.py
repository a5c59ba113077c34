import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport.http2.hpack.decoder import Decoder, HeaderListTooLarge
from server.transport.http2.hpack.encoder import Encoder
from server.transport.http2.hpack.primitives import HpackError
from server.transport.http2.hpack.table import CACHED_BLOCK_BYTES_MAX, CACHED_BLOCKS_MAX, Header
from tests.server.transport.http2.hpack.hpack_blocks import (
    dynamic_table,
    integer,
    literal,
    size_update,
)

INSERT = 0x40
WITHOUT = 0x00
NEVER = 0x10
HEAD = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/turnout.v1.RoutingService/Route"),
    (b":authority", b"localhost:50051"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
    (b"user-agent", b"turnout/1"),
)


# The cache of the decoder.


def test_the_same_block_of_indices_is_the_same_tuple() -> None:
    decoder = Decoder()
    assert decoder.decode(b"\x82\x86") is decoder.decode(b"\x82\x86")


def test_a_block_means_something_else_when_the_table_has_changed() -> None:
    decoder = Decoder()
    decoder.decode(literal(INSERT, b"a", b"1"))
    assert decoder.decode(b"\xbe") == ((b"a", b"1"),)
    decoder.decode(literal(INSERT, b"b", b"2"))
    assert decoder.decode(b"\xbe") == ((b"b", b"2"),)


def test_indices_before_a_field_that_changes_the_table_mean_what_it_holds_by_then() -> None:
    decoder = Decoder()
    decoder.decode(literal(INSERT, b"n", b"0"))
    for number in range(1, 5):
        before, new = (b"n", b"%d" % (number - 1)), (b"n", b"%d" % number)
        block = b"\x82\xbe" + literal(INSERT, *new)
        assert decoder.decode(block) == ((b":method", b"GET"), before, new)


def test_indices_before_fields_that_change_nothing_are_read_as_they_were() -> None:
    decoder = Decoder(list_bytes_max=150)
    for number in (b"1", b"2", b"3"):
        block = b"\x82\x84" + literal(WITHOUT, b"n", number)
        assert decoder.decode(block) == ((b":method", b"GET"), (b":path", b"/"), (b"n", number))
        with pytest.raises(HeaderListTooLarge):
            decoder.decode(b"\x82\x84" + literal(WITHOUT, b"n", number * 40))


def test_a_cached_block_is_refused_when_a_smaller_table_has_emptied() -> None:
    decoder = Decoder()
    decoder.decode(literal(INSERT, b"a", b"1"))
    decoder.decode(b"\xbe")
    decoder.decode(size_update(0))
    with pytest.raises(HpackError):
        decoder.decode(b"\xbe")


def test_a_cached_block_is_refused_when_a_table_size_is_due() -> None:
    decoder = Decoder()
    decoder.decode(b"\x82")
    decoder.table_size(0)
    with pytest.raises(HpackError):
        decoder.decode(b"\x82")


def test_a_block_with_a_literal_is_not_kept() -> None:
    decoder = Decoder()
    block = literal(WITHOUT, b"a", b"1")
    assert decoder.decode(block) is not decoder.decode(block)


def test_no_more_blocks_are_kept_than_the_limit() -> None:
    decoder = Decoder()
    first = decoder.decode(b"\x81\x81")
    for index in range(CACHED_BLOCKS_MAX - 1):
        decoder.decode(bytes((0x82, 0x81 + index % 61, 0x81 + index // 61)))
    assert decoder.decode(b"\x81\x81") is first
    decoder.decode(b"\x83")
    assert decoder.decode(b"\x81\x81") is not first


def test_a_block_of_more_indices_than_a_head_has_is_not_kept() -> None:
    decoder = Decoder()
    longest, longer = b"\x82" * CACHED_BLOCK_BYTES_MAX, b"\x82" * (CACHED_BLOCK_BYTES_MAX + 1)
    assert decoder.decode(longest) is decoder.decode(longest)
    assert decoder.decode(longer) is not decoder.decode(longer)


# The size of a header list.


def test_a_list_of_the_largest_size_is_taken_and_one_more_byte_is_not() -> None:
    decoder = Decoder(list_bytes_max=2 * 42)
    field = (b"name", b"value!")
    assert decoder.decode(2 * literal(WITHOUT, *field)) == (field, field)
    with pytest.raises(HeaderListTooLarge, match="not 85"):
        decoder.decode(literal(WITHOUT, *field) + literal(WITHOUT, b"name", b"value!!"))


def test_a_huffman_coded_value_counts_as_long_as_it_is_decoded() -> None:
    block = b"\x0f\x00" + integer(0x80, 0x7F, 625) + bytes(625)
    headers = ((b"accept-charset", b"0" * 1_000),)
    assert Decoder(list_bytes_max=1_046).decode(block) == headers
    with pytest.raises(HeaderListTooLarge):
        Decoder(list_bytes_max=1_045).decode(block)


def test_a_few_references_to_a_large_field_count_what_they_stand_for() -> None:
    decoder = Decoder()
    decoder.decode(literal(INSERT, b"large", b"x" * 963))
    assert len(decoder.decode(16 * b"\xbe")) == 16
    with pytest.raises(HeaderListTooLarge):
        decoder.decode(17 * b"\xbe")


def test_the_table_is_right_after_a_list_that_was_too_large() -> None:
    decoder = Decoder(list_bytes_max=100)
    with pytest.raises(HeaderListTooLarge):
        decoder.decode(literal(WITHOUT, b"x", b"y" * 100) + literal(INSERT, b"a", b"1"))
    assert dynamic_table(decoder) == [(b"a", b"1")]


def test_a_block_that_is_too_large_is_so_each_time() -> None:
    decoder = Decoder(list_bytes_max=100)
    for _ in range(2):
        with pytest.raises(HeaderListTooLarge):
            decoder.decode(b"\x82\x82\x82")


def test_references_to_a_huge_field_cost_no_memory() -> None:
    decoder = Decoder()
    decoder.decode(literal(INSERT, b"bomb", b"x" * 4_000))
    bomb = b"\xbe" * 16_384
    tracemalloc.start()
    try:
        with pytest.raises(HeaderListTooLarge):
            decoder.decode(bomb)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # One pointer a field, while 16,384 copies would take 66 MB.
    assert peak_bytes < 500_000


# Whatever a peer sends.


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_octets_are_headers_or_one_of_two_errors(blocks: list[bytes]) -> None:
    decoder = Decoder(list_bytes_max=300)
    for block in blocks:
        try:
            headers = decoder.decode(block)
        except (HpackError, HeaderListTooLarge):
            return
        assert sum(map(_field_bytes, headers)) <= 300


@st.composite
def changed_blocks(draw: st.DrawFn) -> bytes:
    """A valid block, some of whose octets were exchanged, dropped or repeated."""
    block = bytearray(Encoder().encode(HEAD) + literal(INSERT, b"key", b"value" * 30))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(block) - 1))
        block[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(block)


@given(st.lists(changed_blocks(), max_size=5))
def test_the_table_never_outgrows_its_limit(blocks: list[bytes]) -> None:
    decoder = Decoder()
    decoder.table_size(400)
    decoder.decode(size_update(400))
    for block in blocks:
        try:
            decoder.decode(block)
        except (HpackError, HeaderListTooLarge):
            return
        assert sum(map(_field_bytes, dynamic_table(decoder))) <= 400


def _field_bytes(field: Header) -> int:
    return len(field[0]) + len(field[1]) + 32


# The encoder.


def test_a_head_is_sent_once_and_then_as_indices() -> None:
    encoder, decoder = Encoder(), Decoder()
    assert len(encoder.encode(HEAD)) > 60
    block = encoder.encode(HEAD)
    assert len(block) == len(HEAD)
    decoder.decode(Encoder().encode(HEAD))
    assert decoder.decode(block) == HEAD


def test_the_same_head_is_the_same_bytes_object() -> None:
    encoder = Encoder()
    encoder.encode(HEAD)
    assert encoder.encode(HEAD) is encoder.encode(tuple(list(HEAD)))


def test_a_head_is_encoded_anew_when_the_table_has_changed() -> None:
    encoder, decoder = Encoder(), Decoder()
    for headers in (HEAD, HEAD, ((b"grpc-status", b"7"),), HEAD):
        assert decoder.decode(encoder.encode(headers)) == headers


@pytest.mark.parametrize(
    "name", [b"grpc-timeout", b"traceparent", b"grpc-message", b"key-bin", b"turnout-decision-id"]
)
def test_what_is_new_with_each_call_is_not_put_into_the_table(name: bytes) -> None:
    encoder, decoder = Encoder(), Decoder()
    block = encoder.encode([(name, b"value")])
    assert block == literal(WITHOUT, name, b"value")
    assert decoder.decode(block) == ((name, b"value"),)


@pytest.mark.parametrize("length", [126, 127, 128, 20_000])
@pytest.mark.parametrize("name", [b"x", b":path", b"user-agent", b"cookie"])
def test_strings_of_any_length_arrive(name: bytes, length: int) -> None:
    field = (name, b"v" * length)
    assert Decoder(list_bytes_max=30_000).decode(Encoder().encode([field])) == (field,)


def test_a_long_name_arrives() -> None:
    field = (b"n" * 127, b"")
    assert Decoder().decode(Encoder().encode([field])) == (field,)


def test_a_field_of_more_than_half_the_table_is_not_put_into_it() -> None:
    encoder, decoder = Encoder(), Decoder()
    decoder.decode(encoder.encode(HEAD))
    decoder.decode(encoder.encode([(b"user-agent", b"x" * 4_000)]))
    assert len(encoder.encode(HEAD)) == len(HEAD)


def test_the_oldest_fields_go_when_the_table_is_full() -> None:
    encoder, decoder = Encoder(), Decoder()
    for number in range(100):
        headers = ((b":path", b"/package.Service/Method%d" % number),)
        assert decoder.decode(encoder.encode(headers)) == headers
    assert len(dynamic_table(decoder)) == 4_096 // (32 + 5 + 25)
    assert len(encoder.encode([(b":path", b"/package.Service/Method99")])) == 1
    assert len(encoder.encode([(b":path", b"/package.Service/Method0")])) > 1


def test_a_peer_without_a_table_gets_literals() -> None:
    encoder, decoder = Encoder(), Decoder()
    encoder.table_size(0)
    for _ in range(2):
        assert decoder.decode(encoder.encode(HEAD)) == HEAD
    assert dynamic_table(decoder) == []


def test_a_peer_that_takes_its_table_back_gets_new_indices() -> None:
    encoder, decoder = Encoder(), Decoder()
    for table_bytes in (4_096, 0, 100, 4_096):
        encoder.table_size(table_bytes)
        for _ in range(3):
            assert decoder.decode(encoder.encode(HEAD)) == HEAD


def test_our_table_never_holds_more_than_4096_bytes() -> None:
    encoder = Encoder()
    encoder.table_size(1_000_000)
    for number in range(1_000):
        encoder.encode([(b":path", b"/%d" % number)])
    oldest = 1_000 - 4_096 // (32 + 5 + 4)
    assert len(encoder.encode([(b":path", b"/%d" % (oldest + 1))])) == 2
    assert len(encoder.encode([(b":path", b"/%d" % (oldest - 1))])) > 2


def test_joined_blocks_are_the_block_of_both_lists() -> None:
    encoder, decoder = Encoder(), Decoder()
    decoder.decode(encoder.encode(HEAD))
    fresh = ((b"grpc-timeout", b"99m"), (b"traceparent", b"00-1-2-01"))
    assert decoder.decode(encoder.encode(HEAD) + encoder.encode(list(fresh))) == HEAD + fresh


def test_no_more_encoded_heads_are_kept_than_the_limit() -> None:
    encoder = Encoder()
    statuses: list[tuple[Header, ...]] = [
        ((b":status", b"200"),) * n for n in range(1, CACHED_BLOCKS_MAX + 1)
    ]
    kept = [encoder.encode(headers) for headers in statuses]
    assert encoder.encode(statuses[1]) is kept[1]
    encoder.encode(((b":method", b"GET"), (b":status", b"200")))
    assert encoder.encode(statuses[1]) is not kept[1]


def test_the_encoder_never_sends_an_integer_that_a_decoder_may_refuse() -> None:
    field = (b"x", b"v" * 300_000)
    assert Encoder().encode([field]) == b"\x00\x01x" + integer(0, 0x7F, 300_000) + field[1]
