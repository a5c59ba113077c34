"""Huffman-coded strings of HPACK (RFC 7541, section 5.2 and Appendix B), decoded octet by octet.

We never send them. A field that repeats is sent once and then by its index; what differs with each
call is short, and coding it costs both ends more than the octets that it saves.
"""

from collections.abc import Iterator

# The code of Appendix B is canonical: shorter codes come first, and equally long ones in the order
# of their symbols. So the symbols of each length say it all; EOS is the last code, 30 ones.
_SYMBOLS_OF_LENGTH = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: b"\0$@[]~",
    14: b"^}",
    15: b"<`{",
    19: b"\\\xc3\xd0",
    20: bytes.fromhex("808283a2b8c2e0e2"),
    21: bytes.fromhex("99a1a7acb0b1b3d1d8d9e3e5e6"),
    22: bytes.fromhex("8184858688929a9ca0a3a4a9aaadb2b5b9babbbdbec4c6e4e8e9"),
    23: bytes.fromhex("0187898a8b8c8d8f93959697989b9d9ea5a6a8aeafb4b6b7bcbfc5e7ef"),
    24: bytes.fromhex("098e9091949fabced7e1eced"),
    25: bytes.fromhex("c7cfeaeb"),
    26: bytes.fromhex("c0c1c8c9cacdd2d5dadbeef0f2f3ff"),
    27: bytes.fromhex("cbccd3d4d6dddedff1f4f5f6f7f8fafbfcfdfe"),
    28: bytes.fromhex("020304050607080b0c0e0f1011121314151718191a1b1c1d1e1f7fdcf9"),
    30: b"\n\r\x16",
}
# A place in the code tree: the bits since the last whole symbol, with a one in front of them.
_ROOT = 1
_EOS = (1 << 31) - 1
# At most 7 ones, the beginning of EOS, fill the last octet.
_PADDINGS = frozenset((1 << ones) - 1 for ones in range(1, 9))

_Row = list["tuple[_Row, bytes, int]"]


class HuffmanError(ValueError):
    """The octets are no Huffman-coded string."""


def decode(coded: bytes) -> bytes:
    """The string. Raises HuffmanError for EOS inside it and for padding not of at most 7 ones."""
    place, row = _ROOT, _ROWS[_ROOT]
    parts: list[bytes] = []
    for octet in coded:
        try:
            row, symbols, place = row[octet]
        except IndexError:
            _fill(place)
            row, symbols, place = row[octet]
        parts.append(symbols)
    if place not in _PADDINGS:
        raise HuffmanError("the padding of a Huffman-coded string must be at most 7 ones")
    return b"".join(parts)


def _fill(place: int) -> None:
    """Works out where each octet leads from a place: the row there, what it completes, the place.

    A row is filled when it is first needed, in 0.1 ms; all 256 would take 30 ms and 6 MB.
    """
    if place == _EOS:
        raise HuffmanError("a Huffman-coded string must not hold EOS")
    reached = [(place, b"")]
    for _ in range(8):
        reached = [_after(bit, *before) for before in reached for bit in (0, 1)]
    _ROWS[place].extend((_ROWS[place], symbols, place) for place, symbols in reached)


def _after(bit: int, place: int, symbols: bytes) -> tuple[int, bytes]:
    if place == _EOS:
        return _EOS, b""
    place = place << 1 | bit
    if place in _SYMBOLS:
        return _ROOT, symbols + _SYMBOLS[place]
    return place, symbols


def _codes() -> Iterator[tuple[int, bytes]]:
    """Every code, as the place that it leads to, and its symbol."""
    code, length = 0, 0
    for of_length, symbols in _SYMBOLS_OF_LENGTH.items():
        code <<= of_length - length
        length = of_length
        for symbol in symbols:
            yield 1 << length | code, bytes((symbol,))
            code += 1


_SYMBOLS = dict(_codes())
# Places inside the tree; EOS is one, for it is no symbol.
_ROWS: dict[int, _Row] = {
    code >> bits: [] for code in (*_SYMBOLS, _EOS << 1) for bits in range(1, code.bit_length())
}
