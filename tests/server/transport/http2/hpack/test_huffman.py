import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given
from hypothesis import strategies as st

from server.transport.http2.hpack.huffman import HuffmanError, decode

LIBRARY = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


@pytest.mark.parametrize("symbol", range(256))
def test_every_symbol_is_decoded(symbol: int) -> None:
    # Between others, so that its code crosses the octets at every place.
    text = b"".join(bytes((symbol,)) + b"a" * n for n in range(8))
    assert decode(LIBRARY.encode(text)) == text


@given(st.binary(max_size=300))
def test_what_the_library_encodes_is_decoded(text: bytes) -> None:
    assert decode(LIBRARY.encode(text)) == text


@given(st.binary(max_size=300))
def test_octets_are_what_the_library_makes_of_the_string_or_an_error(octets: bytes) -> None:
    """So nothing but the one right coding is taken."""
    try:
        text = decode(octets)
    except HuffmanError:
        return
    assert LIBRARY.encode(text) == octets


def test_an_empty_string_is_empty() -> None:
    assert decode(b"") == b""


def test_an_error_leaves_nothing_behind() -> None:
    with pytest.raises(HuffmanError):
        decode(b"\xff\xff\xff\xff")
    assert decode(b"\x1f") == b"a"
