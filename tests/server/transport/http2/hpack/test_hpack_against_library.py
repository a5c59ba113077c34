"""Sequences of blocks between ours and the `hpack` library, with tables that change their size."""

import hpack
from hypothesis import given
from hypothesis import strategies as st

from server.transport.http2.hpack.decoder import Decoder
from server.transport.http2.hpack.encoder import Encoder
from server.transport.http2.hpack.table import Header

NAMES = st.one_of(
    st.sampled_from(
        b":path :status content-type te user-agent grpc-status grpc-encoding cookie authorization"
        b" grpc-timeout traceparent x-key-bin".split()
    ),
    st.binary(max_size=150),
)
VALUES = st.one_of(
    st.sampled_from([b"/", b"200", b"0", b"trailers", b"application/grpc", b""]),
    st.binary(max_size=20),
    st.integers(100, 2_000).map(lambda n: b"x" * n),
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=8)
# Before a block: sizes that the decoding side announced since the last one.
SIZES = st.lists(st.sampled_from([0, 33, 64, 200, 1_000, 4_095, 4_096, 4_097, 65_536]), max_size=3)
BLOCKS = st.lists(st.tuples(SIZES, HEADERS, st.booleans()), max_size=12)

Blocks = list[tuple[list[int], list[Header], bool]]


@given(BLOCKS)
def test_the_library_decodes_what_we_encode(blocks: Blocks) -> None:
    encoder, decoder = Encoder(), hpack.Decoder(max_header_list_size=1_000_000)
    for sizes, headers, twice in blocks:
        for table_bytes in sizes:
            encoder.table_size(table_bytes)
            decoder.max_allowed_table_size = table_bytes
        for _ in range(1 + twice):
            block = encoder.encode(tuple(headers))
            assert [*map(tuple, decoder.decode(block, raw=True))] == headers


@given(BLOCKS)
def test_we_decode_what_the_library_encodes(blocks: Blocks) -> None:
    encoder, decoder = hpack.Encoder(), Decoder(list_bytes_max=1_000_000)
    for sizes, headers, huffman in blocks:
        for table_bytes in sizes[:1]:  # of several it sends more than the smallest and the final
            decoder.table_size(table_bytes)
            encoder.header_table_size = table_bytes
        for _ in range(2):
            assert decoder.decode(encoder.encode(headers, huffman=huffman)) == tuple(headers)


@given(BLOCKS)
def test_we_decode_what_we_encode(blocks: Blocks) -> None:
    encoder, decoder = Encoder(), Decoder(list_bytes_max=1_000_000)
    for sizes, headers, twice in blocks:
        for table_bytes in sizes:
            encoder.table_size(table_bytes)
            decoder.table_size(table_bytes)
        for _ in range(1 + twice):
            assert decoder.decode(encoder.encode(tuple(headers))) == tuple(headers)
