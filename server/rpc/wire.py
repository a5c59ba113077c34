"""Walks protobuf's wire format without making objects, and no further than it is told."""

from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

Bytes: TypeAlias = bytes | memoryview

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5  # wire types
_FIXED_BYTES = {FIXED64: 8, FIXED32: 4}
# As protobuf's own parser reads them.
_VARINT_BYTES_MAX, _TAG_BYTES_MAX, _LENGTH_BYTES_MAX = 10, 5, 5
_TAG_MIN, _TAG_MAX = 8, 2**32 - 1  # of field 1, and as protobuf reads them
_BITS, _MORE = 7, 0x80
# Answers of a model often have the same size, and so have its chunks.
_LENGTHS_REMEMBERED = 1_024


class Malformed(ValueError):
    """These bytes are no message."""


class TooManySteps(Exception):
    """A message has more fields than it may have."""


class Steps:
    """How far a message may still be walked, however its fields are nested and spread.

    A field is a step, and so is each of its numbers that takes more than a byte: each step is well
    below a microsecond.
    """

    __slots__ = ("left",)

    def __init__(self, most: int) -> None:
        self.left = most


# Of one field of a message: its tag, and where its content starts and ends.
Field: TypeAlias = tuple[int, int, int]


def tag(number: int, wire_type: int = DELIMITED) -> int:
    """What stands before a field of this number."""
    return number << 3 | wire_type


def delimited(number: int, content: bytes) -> bytes:
    """A field of this number, of less than 16, with such content."""
    return b"%c%b%b" % (tag(number), length_of(len(content)), content)


@lru_cache(_LENGTHS_REMEMBERED)
def length_of(size_bytes: int) -> bytes:
    """As protobuf writes lengths."""
    octets = bytearray()
    while size_bytes >= _MORE:
        octets.append(size_bytes & _MORE - 1 | _MORE)
        size_bytes >>= _BITS
    octets.append(size_bytes)
    return bytes(octets)


def fields(data: Bytes, at: int, end: int, steps: Steps) -> Iterator[Field]:
    """The fields of the message between two places; raises Malformed or TooManySteps.

    Groups, which no message here has, are refused as malformed.
    """
    try:
        while at < end:
            steps.left -= 1
            key, at = data[at], at + 1
            if key >= _MORE:
                key, at = _long(data, at - 1, _TAG_BYTES_MAX, steps)
            if key & 7 == DELIMITED:
                length, start = data[at], at + 1
                if length >= _MORE:
                    length, start = _long(data, at, _LENGTH_BYTES_MAX, steps)
                at = start + length
            else:
                start, at = at, _end_of_number(data, at, key & 7, steps)
            if steps.left < 0:
                raise TooManySteps
            if at > end or not _TAG_MIN <= key <= _TAG_MAX:
                raise Malformed
            yield key, start, at
    except LookupError:
        raise Malformed from None


def varints(data: Bytes, at: int, end: int, steps: Steps) -> Iterator[int]:
    """The numbers that are packed between two places; raises Malformed or TooManySteps."""
    try:
        while at < end:
            number, at = _varint(data, at, steps)
            steps.left -= 1
            if steps.left < 0:
                raise TooManySteps
            if at > end:
                raise Malformed
            yield number
    except LookupError:
        raise Malformed from None


def _end_of_number(data: Bytes, at: int, wire_type: int, steps: Steps) -> int:
    if wire_type == VARINT:
        return _varint(data, at, steps)[1]
    return at + _FIXED_BYTES[wire_type]


def _varint(data: Bytes, at: int, steps: Steps) -> tuple[int, int]:
    byte = data[at]
    return (byte, at + 1) if byte < _MORE else _long(data, at, _VARINT_BYTES_MAX, steps)


def _long(data: Bytes, at: int, bytes_max: int, steps: Steps) -> tuple[int, int]:
    steps.left -= 1
    value = shift = 0
    for _ in range(bytes_max):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < _MORE:
            return value, at
        shift += 7
    raise Malformed
