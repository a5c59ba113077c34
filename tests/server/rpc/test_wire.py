"""Protobuf's wire format, walked without objects: as protobuf itself reads it, and bounded."""

from contextlib import suppress

import pytest
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from google.protobuf.wrappers_pb2 import BytesValue
from hypothesis import example, given
from hypothesis import strategies as st

from server.rpc.wire import Bytes, Malformed, Steps, TooManySteps, fields, tag, varints

MANY = 10_000
_GROUP = 3


def walked(data: Bytes, steps: int = MANY) -> list[tuple[int, int, int]]:
    return list(fields(data, 0, len(data), Steps(steps)))


def varint(number: int, more: int = 0) -> bytes:
    """A number, so many bytes longer than it has to be."""
    octets = []
    while number > 127 or more > 0:
        octets.append(number & 127 | 128)
        more -= number <= 127
        number >>= 7
    return bytes([*octets, number])


numbers = st.builds(varint, st.integers(0, 2**70) | st.integers(0, 300), st.integers(0, 9))
tags = st.builds(varint, st.integers(0, 2**33) | st.integers(0, 300), st.integers(0, 5))
contents = st.binary(max_size=20)
wire = st.lists(
    st.builds(lambda key, number, rest: key + number + rest, tags, numbers, contents)
    | st.builds(lambda content: b"\x7a" + varint(len(content)) + content, contents)
    | contents,
    max_size=5,
).map(b"".join)


def numbers_and_types(unknown: UnknownFieldSet) -> list[tuple[int, int]]:
    each = [unknown[place] for place in range(len(unknown))]
    return [(field.field_number, field.wire_type) for field in each]


@given(wire)
@example(b"\x92\x06" + b"\x80" * 4 + b"\x00")
@example(b"\x92\x06" + b"\x80" * 5 + b"\x00")
@example(b"\x90\x06" + b"\xff" * 9 + b"\x7f")
@example(b"\x90\x06" + b"\xff" * 10 + b"\x01")
@example(b"\x90\x80\x80\x80\x10\x00")
@example(b"\x90\x80\x80\x80\x0f\x00")
@example(b"\x90\x80\x80\x80\x80\x00\x00")
@example(b"\x00\x00")
@example(b"\x80\x00\x00")
@example(b"\x0e\x00")
@example(b"\x92\x06\x05abc")
@example(b"\x95\x06abc")
def test_what_protobuf_parses_is_walked_and_nothing_else(data: bytes) -> None:
    try:
        parsed = BytesValue.FromString(data)  # it knows but one field
    except DecodeError:
        with pytest.raises(Malformed):
            walked(data)
        return
    found = numbers_and_types(UnknownFieldSet(parsed))
    if any(wire_type == _GROUP for _, wire_type in found):
        with pytest.raises(Malformed):
            walked(data)
    else:
        unknown = [key for key, _, _ in walked(data) if key != tag(1)]
        assert [(key >> 3, key & 7) for key in unknown] == found


@given(wire, st.integers(0, 20), st.integers(0, 20))
def test_a_message_within_others_is_walked_to_its_end_and_no_further(
    data: bytes, before: int, behind: int
) -> None:
    within = b"\xff" * before + data + b"\x08" * behind
    try:
        alone = walked(data)
    except Malformed:
        with pytest.raises(Malformed):
            list(fields(within, before, before + len(data), Steps(MANY)))
        return
    moved = list(fields(memoryview(within), before, before + len(data), Steps(MANY)))
    assert moved == [(key, start + before, end + before) for key, start, end in alone]


@pytest.mark.parametrize(
    ("field", "steps"),
    [
        pytest.param(b"\x0a\x00", 1, id="empty"),
        pytest.param(b"\x08\x00", 1, id="number"),
        pytest.param(b"\x0d0123", 1, id="fixed"),
        pytest.param(b"\x08\xff\x01", 2, id="long-number"),
        pytest.param(b"\x0a\x80\x01" + bytes(128), 2, id="long-content"),
        pytest.param(b"\x8a\x80\x00\x80\x00", 3, id="over-long"),
    ],
)
def test_a_message_has_so_many_steps_and_no_more(field: bytes, steps: int) -> None:
    assert len(walked(field * 10, 10 * steps)) == 10
    with pytest.raises(TooManySteps):
        walked(field * 10, 10 * steps - 1)


def test_steps_are_counted_over_all_that_is_walked_with_them() -> None:
    steps, data = Steps(3), b"\x0a\x00" * 2
    list(fields(data, 0, 4, steps))
    with pytest.raises(TooManySteps):
        list(fields(data, 0, 4, steps))


def test_the_walk_of_a_message_that_goes_on_for_ever_ends_at_its_steps() -> None:
    data, steps = b"\x0a\x00" * 2**20, Steps(100)
    with pytest.raises(TooManySteps):
        for _ in fields(data, 0, len(data), steps):
            pass
    assert steps.left == -1


@given(st.lists(st.integers(0, 2**64 - 1), max_size=9))
def test_packed_numbers_are_read_one_by_one(packed: list[int]) -> None:
    data = b"".join(map(varint, packed))
    assert list(varints(data, 0, len(data), Steps(MANY))) == packed


@given(st.binary(max_size=30))
def test_any_bytes_are_packed_numbers_or_malformed(data: bytes) -> None:
    with suppress(Malformed):
        list(varints(data, 0, len(data), Steps(MANY)))


def test_a_packed_number_that_goes_beyond_the_end_is_malformed() -> None:
    with pytest.raises(Malformed):
        list(varints(b"\x80\x01", 0, 1, Steps(MANY)))


def test_packed_numbers_take_steps() -> None:
    assert len(list(varints(b"\x01" * 10, 0, 10, Steps(10)))) == 10
    with pytest.raises(TooManySteps):
        list(varints(b"\x01" * 10, 0, 10, Steps(9)))


def test_a_tag_is_what_stands_before_a_field() -> None:
    assert (tag(1), tag(3, 0)) == (0x0A, 0x18)
