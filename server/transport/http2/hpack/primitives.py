"""Integers and strings of HPACK (RFC 7541, section 5), and the bits that say what a field is."""

from server.transport.http2.hpack.huffman import decode as huffman_decoded

# The first octet of a field (section 6); a literal without indexing has none of these bits.
INDEXED = 0x80
INCREMENTAL = 0x40
SIZE_UPDATE = 0x20
NEVER_INDEXED = 0x10

# What is left of an octet for the beginning of an integer; all ones say that it goes on.
PREFIX_7 = 0x7F
PREFIX_6 = 0x3F
PREFIX_5 = 0x1F
PREFIX_4 = 0x0F

# Octets of an integer behind its prefix: they hold 268 million, more than any block that we take.
INTEGER_OCTETS_MAX = 4

_HUFFMAN = 0x80
_MORE = 0x80


class HpackError(Exception):
    """The block cannot be decoded, nor any after it: a connection error, COMPRESSION_ERROR."""


def integer(block: bytes, at: int, prefix: int) -> tuple[int, int]:
    """An integer whose prefix, just before `at`, is all ones; and where it ends."""
    value = prefix
    for shift in range(0, 7 * INTEGER_OCTETS_MAX, 7):
        octet = block[at]
        at += 1
        value += (octet & PREFIX_7) << shift
        if octet < _MORE:
            return value, at
    raise HpackError(f"an integer may take {INTEGER_OCTETS_MAX} octets behind its prefix, no more")


def string(block: bytes, at: int) -> tuple[bytes, int]:
    """A string of any form; and where it ends, which is beyond the block if that is cut short."""
    first = block[at]
    length = first & PREFIX_7
    at += 1
    if length == PREFIX_7:
        length, at = integer(block, at, PREFIX_7)
    end = at + length
    octets = block[at:end]
    return (huffman_decoded(octets) if first & _HUFFMAN else octets), end


def encoded_integer(kind: int, prefix: int, value: int) -> bytes:
    """An integer, with the bits of `kind` in front of its prefix."""
    if value < prefix:
        return bytes((kind | value,))
    octets = bytearray((kind | prefix,))
    value -= prefix
    while value >= _MORE:
        octets.append(value & PREFIX_7 | _MORE)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def encoded_string(octets: bytes) -> bytes:
    """A string as it is, without Huffman coding: `huffman.py` says why."""
    return encoded_integer(0, PREFIX_7, len(octets)) + octets
