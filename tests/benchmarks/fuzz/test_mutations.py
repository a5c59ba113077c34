"""Inputs are changed by the dice alone, and stay what they are where that is promised."""

import json
import random
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fuzz import frames
from benchmarks.fuzz.frames import FRAMES, Frame, inflated_bytes, read_frames
from benchmarks.fuzz.json_text import change_json, nest_json
from benchmarks.fuzz.mutate import (
    ANY,
    Mutation,
    flip,
    inflated,
    squeeze,
    varint,
    within_gzip,
    words,
)
from benchmarks.fuzz.protobuf import PROTOBUF, delimited, fields, within_field
from turnout.v1 import routing_pb2 as pb

MUTATIONS = [
    *(*ANY, *PROTOBUF, FRAMES[0]),
    *(words(b"[", b"]"), squeeze, change_json, nest_json, within_field(flip)),
]
REQUEST = pb.RouteRequest(
    context=pb.RequestContext(tenant="acme", labels={"a": "b"}), text="hello", dry_run=True
)

seeds = st.integers(0, 2**32)
inputs = st.binary(max_size=200)


@pytest.mark.parametrize("mutation", MUTATIONS)
@given(data=inputs, others=st.lists(inputs, max_size=3), seed=seeds)
def test_the_dice_say_what_changes(
    mutation: Mutation, data: bytes, others: Sequence[bytes], seed: int
) -> None:
    once = mutation(data, random.Random(seed), others)
    assert mutation(data, random.Random(seed), others) == once


@pytest.mark.parametrize("mutation", MUTATIONS)
@given(data=st.binary(max_size=2_000), seed=seeds)
def test_nothing_grows_without_end(mutation: Mutation, data: bytes, seed: int) -> None:
    assert len(mutation(data, random.Random(seed), [data])) < 5 * 2**20


@given(data=inputs)
def test_what_was_squeezed_comes_back(data: bytes) -> None:
    assert inflated(squeeze(data, random.Random(1), ()), 1_000) == data


def test_a_bomb_is_inflated_no_further_than_asked() -> None:
    assert len(inflated(squeeze(bytes(10**6), random.Random(1), ()), 5_000)) == 5_000


def test_bytes_before_a_mistake_in_gzip_count() -> None:
    broken = squeeze(bytes(100_000), random.Random(1), ())[:-8] + b"\xff" * 20
    assert 70_000 < len(inflated(broken, 2**20)) <= 100_000


def test_a_squeezed_input_is_changed_inside() -> None:
    def appended(data: bytes, _dice: random.Random, _others: Sequence[bytes]) -> bytes:
        return data + b"!"

    squeezed = squeeze(b"hello", random.Random(1), ())
    changed = [within_gzip(appended, 99)(squeezed, random.Random(i), ()) for i in range(50)]
    inside = [data for data in changed if not data.endswith(b"!")]
    assert 30 < len(inside) < 50
    assert {zlib.decompress(data, 31) for data in inside} == {b"hello!"}


@given(seed=seeds)
def test_a_message_with_more_of_what_it_has_is_still_one(seed: int) -> None:
    again = PROTOBUF[0]
    pb.RouteRequest.FromString(again(REQUEST.SerializeToString(), random.Random(seed), ()))


def test_fields_are_changed_at_every_depth() -> None:
    data = REQUEST.SerializeToString()
    changed = {PROTOBUF[0](data, random.Random(i), ())[:12] for i in range(200)}
    assert len(changed) > 3


def test_lengths_are_right_around_changed_content() -> None:
    def shout(_data: bytes, _dice: random.Random, _others: Sequence[bytes]) -> bytes:
        return b"\x0a\x01!" * 30

    data = REQUEST.SerializeToString()
    changed = {within_field(shout)(data, random.Random(i), ()) for i in range(100)}
    assert len({pb.RouteRequest.FromString(octets).text for octets in changed}) > 1


@given(seed=seeds)
def test_changed_json_is_json(seed: int) -> None:
    data = b'{"messages": [{"role": "user", "content": "a"}], "tools": [1, {}]}'
    json.loads(change_json(data, random.Random(seed), ()))


def test_what_is_no_json_stays_as_it_is() -> None:
    assert change_json(b"[", random.Random(1), ()) == b"["


def test_fields_are_read_as_protobuf_writes_them() -> None:
    found = fields(REQUEST.SerializeToString())
    assert [field.tag >> 3 for field in found] == [1, 2, 16]
    assert found[1].content == b"hello"
    assert b"".join(field.octets for field in found) == REQUEST.SerializeToString()


@given(data=inputs)
def test_no_byte_is_lost_in_fields(data: bytes) -> None:
    assert b"".join(field.octets for field in fields(data)) == data


@given(number=st.integers(0, 2**64 - 1))
def test_varints_are_those_of_protobuf(number: int) -> None:
    message = pb.Cell.FromString(delimited(10, b"a") + varint(99 << 3) + varint(number))
    assert message.traffic_class == "a"


def test_frames_are_read_as_they_are_written() -> None:
    written = [Frame(frames.DATA, 1, 3, b"abc"), Frame(frames.PING, 0, 0, bytes(8))]
    octets = b"".join(frame.octets() for frame in written)
    assert list(read_frames(octets + b"\0\0")) == written


def test_messages_of_frames_count_as_long_as_they_are_read() -> None:
    body = squeeze(bytes(50_000), random.Random(1), ())
    message = b"\1" + len(body).to_bytes(4) + body
    halves = (message[:20], message[20:])
    octets = b"".join(Frame(frames.DATA, 0, 1, half).octets() for half in halves)
    assert inflated_bytes(octets, 2**20) == len(octets) + 50_000
    assert inflated_bytes(octets, 1_000) == len(octets) + 1_000
