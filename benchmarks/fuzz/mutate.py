"""Changes of inputs that fit any bytes."""

import random
import zlib
from collections.abc import Callable, Iterator, Sequence

# Makes another input of one; others of its target may be used for it.
Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_GZIP = b"\x1f\x8b"
_PIECE_BYTES = 16  # what is made of one is lost to the count, where gzip breaks in it
_AS_IT_IS = 0.1  # of compressed inputs, as often the compressed bytes are changed
_OFTEN = 0.6  # as often a word is put in many times
_NUMBERS = (0, 1, 2, 7, 8, 100, 127, 128, 255, 256, 16_383, 16_384, 65_535, 65_536)
_LARGE = (2**21, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
_CHUNK_BYTES = (1, 2, 3, 4, 8, 16, 64, 256)
_TIMES = (2, 3, 10, 100, 1_000, 10_000, 100_000)
# Whatever is made many times ends about here: more is cut off again.
_GROWN_BYTES_MAX = 2 * 2**20


def flip(data: bytes, dice: random.Random, _others: Sequence[bytes]) -> bytes:
    """A bit, or a few."""
    octets = bytearray(data or b"\0")
    for _ in range(dice.choice((1, 1, 2, 4, 8))):
        octets[dice.randrange(len(octets))] ^= 1 << dice.randrange(8)
    return bytes(octets)


def put(data: bytes, dice: random.Random, _others: Sequence[bytes]) -> bytes:
    """A number in the place of bytes, in either order, or as a varint."""
    number = dice.choice(_NUMBERS + _LARGE)
    width = dice.choice((1, 2, 3, 4, 8))
    fits = number % 256**width
    at = dice.randint(0, len(data))
    said = (fits.to_bytes(width), fits.to_bytes(width, "little"), varint(number))
    return data[:at] + (said_now := dice.choice(said)) + data[at + len(said_now) :]


def insert(data: bytes, dice: random.Random, _others: Sequence[bytes]) -> bytes:
    at = dice.randint(0, len(data))
    return data[:at] + dice.randbytes(dice.choice(_CHUNK_BYTES)) + data[at:]


def drop(data: bytes, dice: random.Random, _others: Sequence[bytes]) -> bytes:
    at, length = _chunk(data, dice)
    return data[:at] + data[at + length :]


def cut(data: bytes, dice: random.Random, _others: Sequence[bytes]) -> bytes:
    return data[: dice.randint(0, len(data))]


def repeat(data: bytes, dice: random.Random, _others: Sequence[bytes]) -> bytes:
    """A chunk many times: what is cheap once and not a thousand times is found so."""
    at, length = _chunk(data, dice)
    return data[:at] + many(data[at : at + length], dice) + data[at + length :]


def repeat_all(data: bytes, dice: random.Random, _others: Sequence[bytes]) -> bytes:
    return many(data, dice)


def splice(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """The beginning of one and the end of another."""
    other = dice.choice(others) if others else data
    return data[: dice.randint(0, len(data))] + other[dice.randint(0, len(other)) :]


def borrow(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """A chunk of another put somewhere."""
    other = dice.choice(others) if others else data
    start, length = _chunk(other, dice)
    at = dice.randint(0, len(data))
    return data[:at] + other[start : start + length] + data[at:]


def words(*listed: bytes) -> Mutation:
    """Puts in a word of the format, once or many times."""

    def put_word(data: bytes, dice: random.Random, _others: Sequence[bytes]) -> bytes:
        at = dice.randint(0, len(data))
        return (
            data[:at]
            + (many(dice.choice(listed), dice) if dice.random() < _OFTEN else dice.choice(listed))
            + data[at:]
        )

    return put_word


def squeeze(data: bytes, _dice: random.Random, _others: Sequence[bytes]) -> bytes:
    """Compressed, as a message may be."""
    compress = zlib.compressobj(wbits=_GZIP_WINDOW)
    return compress.compress(data) + compress.flush()


def inflated(data: bytes, bytes_max: int) -> bytes:
    """As it was before `squeeze`, so far as it was; anything else as it is."""
    if not is_squeezed(data):
        return data
    return b"".join(_inflating(data, bytes_max))[:bytes_max]


def inflated_bytes(data: bytes, bytes_max: int) -> int:
    """How long that is."""
    return sum(map(len, _inflating(data, bytes_max))) if is_squeezed(data) else len(data)


def is_squeezed(data: bytes) -> bool:
    """No message of protobuf begins so."""
    return data.startswith(_GZIP)


def _inflating(data: bytes, bytes_max: int) -> Iterator[bytes]:
    """Up to where it is no gzip any more, which readers find out as late."""
    inflate = zlib.decompressobj(wbits=_GZIP_WINDOW)
    for at in range(0, len(data), _PIECE_BYTES):
        try:
            piece = inflate.decompress(data[at : at + _PIECE_BYTES], bytes_max)
        except zlib.error:
            return
        yield piece
        bytes_max -= len(piece)
        if bytes_max <= 0:
            return


def within_gzip(mutation: Mutation, bytes_max: int) -> Mutation:
    """Changes what is inside, where an input is compressed."""

    def change(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
        if not is_squeezed(data) or dice.random() < _AS_IT_IS:
            return mutation(data, dice, others)
        inside = mutation(inflated(data, bytes_max), dice, others)[:bytes_max]
        return squeeze(inside, dice, others)

    return change


def varint(number: int) -> bytes:
    octets = bytearray()
    while number >> 7:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*octets, number))


def many(octets: bytes, dice: random.Random) -> bytes:
    """The same again and again."""
    return octets * min(dice.choice(_TIMES), 1 + _GROWN_BYTES_MAX // max(1, len(octets)))


def _chunk(data: bytes, dice: random.Random) -> tuple[int, int]:
    at = dice.randint(0, max(0, len(data) - 1))
    length = dice.choice((*_CHUNK_BYTES, len(data)))
    return at, min(length, len(data) - at)


ANY: tuple[Mutation, ...] = (
    flip, put, insert, drop, cut, repeat, repeat, repeat_all, splice, borrow
)  # fmt: skip
