"""Changes of inputs that are protobuf: the lengths around a change are made right again."""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmarks.fuzz.mutate import Mutation, many, varint

_DELIMITED = 2
_FIXED_BYTES = {1: 8, 5: 4}
_VARINT_BYTES_MAX = 10
# Deeper than any message of ours; and fields looked at, for a change needs only some.
_DEPTH_MAX, _FIELDS_MAX = 12, 256
_DEEPER = 0.6
_NUMBERS = tuple(range(1, 21))
_DEPTHS = (2, 20, 99, 101, 1_000)


class Field(NamedTuple):
    tag: int
    octets: bytes  # all of it
    content: bytes  # of a delimited one


_Change = Callable[[list[Field], random.Random], list[bytes]]


def fields(data: bytes) -> list[Field]:
    """Of a message, the first ones; the rest, and what is none, is one field of tag 0."""
    found: list[Field] = []
    at = 0
    while at < len(data) and len(found) < _FIELDS_MAX:
        end, tag, start = _field(data, at)
        if end > len(data) or not tag >> 3:
            break
        found.append(Field(tag, data[at:end], data[start:end] if tag & 7 == _DELIMITED else b""))
        at = end
    if at < len(data):
        found.append(Field(0, data[at:], b""))
    return found


def delimited(tag: int, content: bytes) -> bytes:
    return varint(tag) + varint(len(content)) + content


def changed(data: bytes, change: _Change, dice: random.Random, depth: int = 0) -> bytes:
    """The message with its fields changed, or those of a message within it."""
    found = fields(data)
    inner = [i for i, field in enumerate(found) if len(field.content) > 1]
    if inner and depth < _DEPTH_MAX and dice.random() < _DEEPER:
        i = dice.choice(inner)
        within = changed(found[i].content, change, dice, depth + 1)
        found[i] = Field(found[i].tag, delimited(found[i].tag, within), within)
        return b"".join(field.octets for field in found)
    return b"".join(change(found, dice))


def mutation(change: _Change) -> Mutation:
    return lambda data, dice, _others: changed(data, change, dice)


def within_field(of_content: Mutation) -> Mutation:
    """Changes the content of a field as text or whatever else it is."""

    def change(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
        return changed(data, lambda found, _dice: _with_content(found, dice, others), dice)

    def _with_content(
        found: list[Field], dice: random.Random, others: Sequence[bytes]
    ) -> list[bytes]:
        octets = [field.octets for field in found]
        inner = [i for i, field in enumerate(found) if field.content]
        if inner:
            i = dice.choice(inner)
            content = of_content(found[i].content, dice, others)
            octets[i] = delimited(found[i].tag, content)
        return octets

    return change


def _again(found: list[Field], dice: random.Random) -> list[bytes]:
    """A field, many times."""
    octets = [field.octets for field in found]
    if octets:
        i = dice.randrange(len(octets))
        octets[i] = many(octets[i], dice)
    return octets


def _empties(found: list[Field], dice: random.Random) -> list[bytes]:
    """An empty message of some number, many times: two bytes each."""
    known = [field.tag >> 3 for field in found if field.tag]
    tag = dice.choice((*known, *_NUMBERS)) << 3 | _DELIMITED
    octets = [field.octets for field in found]
    octets.insert(dice.randint(0, len(octets)), many(delimited(tag, b""), dice))
    return octets


def _varints(found: list[Field], dice: random.Random) -> list[bytes]:
    """A number of some field, many times."""
    one = varint(dice.choice(_NUMBERS) << 3) + varint(dice.choice((0, 1, 2**31, 2**64 - 1)))
    return [*(field.octets for field in found), many(one, dice)]


def _nested(found: list[Field], dice: random.Random) -> list[bytes]:
    """A field within itself, deep."""
    octets = [field.octets for field in found]
    i = dice.randrange(len(found)) if found else 0
    tag = (found[i].tag if found and found[i].tag else dice.choice(_NUMBERS) << 3) | _DELIMITED
    content = found[i].content if found else b""
    for _ in range(dice.choice(_DEPTHS)):
        content = delimited(tag, content)
    return [*octets[:i], content, *octets[i + 1 :]]


def _grown(found: list[Field], dice: random.Random) -> list[bytes]:
    """Content many times as long, or one that is announced and does not come."""
    octets = [field.octets for field in found]
    inner = [i for i, field in enumerate(found) if field.tag & 7 == _DELIMITED and field.tag]
    if inner:
        i = dice.choice(inner)
        content = many(found[i].content or b"a", dice)
        octets[i] = delimited(found[i].tag, content)
        if dice.random() < 0.1:  # noqa: PLR2004 - seldom, for it is refused at once
            octets[i] = varint(found[i].tag) + varint(len(content) * 2) + content
    return octets


def _shuffled(found: list[Field], dice: random.Random) -> list[bytes]:
    octets = [field.octets for field in found]
    dice.shuffle(octets)
    return octets


def _renumbered(found: list[Field], dice: random.Random) -> list[bytes]:
    """The content of a field as another's."""
    octets = [field.octets for field in found]
    inner = [i for i, field in enumerate(found) if field.tag & 7 == _DELIMITED and field.tag]
    if inner:
        i = dice.choice(inner)
        octets[i] = delimited(dice.choice(_NUMBERS) << 3 | _DELIMITED, found[i].content)
    return octets


def _field(data: bytes, at: int) -> tuple[int, int, int]:
    """Where it ends, its tag, and where its content starts; beyond the data where it is none."""
    beyond = len(data) + 1, 0, 0
    tag, start = _number(data, at)
    if tag & 7 == _DELIMITED:
        length, start = _number(data, start)
        return start + length, tag, start
    if tag & 7 in _FIXED_BYTES:
        return start + _FIXED_BYTES[tag & 7], tag, start
    return (_number(data, start)[1], tag, start) if tag & 7 == 0 else beyond


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A varint and where it ends; beyond the data where it is none."""
    value = 0
    for i, octet in enumerate(data[at : at + _VARINT_BYTES_MAX]):
        value |= (octet & 0x7F) << 7 * i
        if octet < 0x80:  # noqa: PLR2004 - the last octet of a varint
            return value, at + i + 1
    return 0, len(data) + 1


PROTOBUF: Sequence[Mutation] = tuple(
    map(mutation, (_again, _again, _empties, _varints, _nested, _grown, _shuffled, _renumbered))
)
