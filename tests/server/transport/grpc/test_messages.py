"""gRPC's messages, cut and joined at any byte."""

import gzip
import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.status_code import Code
from server.transport.grpc.messages import (
    INFLATED_AT_ONCE_BYTES,
    INFLATED_FREE_BYTES,
    INFLATED_RATIO_MAX,
    JOINED_BYTES_MAX,
    LARGE_BYTES,
    MessageBuffer,
    framed,
    framed_gzip,
    in_pieces,
    only_message,
)
from server.transport.grpc.status import CallRefused

LIMIT = 1_000
messages_ = st.lists(st.binary(max_size=60), max_size=6)


def everything(buffer: MessageBuffer) -> list[bytes | memoryview]:
    found = []
    while (message := buffer.next()) is not None:
        found.append(message)
    return found


def refusal(data: bytes, *, gzip: bool = True) -> CallRefused:
    buffer = MessageBuffer(LIMIT, gzip=gzip)
    buffer.append(data)
    with pytest.raises(CallRefused) as raised:
        buffer.next()
    return raised.value


@given(messages_, st.lists(st.integers(1, 40), min_size=1))
def test_messages_come_back_whole_however_they_were_cut(sent: list[bytes], cuts: list[int]) -> None:
    data = b"".join(
        framed(message) if i % 2 else framed_gzip(message) for i, message in enumerate(sent)
    )
    buffer, found = MessageBuffer(LIMIT, gzip=True), []
    while data:
        for cut in cuts:
            buffer.append(data[:cut])
            data = data[cut:]
            found += everything(buffer)
    assert found == sent
    assert buffer.is_between
    assert buffer.held_bytes == 0


@given(messages_)
def test_messages_are_taken_one_by_one_from_one_piece(sent: list[bytes]) -> None:
    buffer = MessageBuffer(LIMIT, gzip=False)
    buffer.append(b"".join(map(framed, sent)))
    assert everything(buffer) == sent


def test_a_message_that_has_begun_is_no_end() -> None:
    buffer = MessageBuffer(LIMIT, gzip=False)
    buffer.append(framed(b"abc")[:-1])
    assert buffer.next() is None
    assert not buffer.is_between


def test_a_prefix_that_came_in_part_is_no_end() -> None:
    buffer = MessageBuffer(LIMIT, gzip=False)
    buffer.append(b"\0\0")
    assert buffer.next() is None
    assert not buffer.is_between


def test_a_message_in_tiny_pieces_takes_little_more_than_its_bytes() -> None:
    size = 200_000
    buffer = MessageBuffer(size, gzip=False)
    tracemalloc.start()
    try:
        buffer.append(framed(bytes(size))[:5])
        for at in range(0, size, 2):
            buffer.append(at.to_bytes(4)[2:])  # each is an object of its own
        assert buffer.held_bytes == size + 5
        assert tracemalloc.get_traced_memory()[0] < 2 * size
    finally:
        tracemalloc.stop()
    message = buffer.next()
    assert message == b"".join(at.to_bytes(4)[2:] for at in range(0, size, 2))


@given(st.lists(st.integers(1, 9_000), max_size=30), st.lists(st.integers(0, 5_000), max_size=9))
def test_messages_come_back_whole_from_pieces_that_are_joined_or_not(
    cuts: list[int], sizes: list[int]
) -> None:
    sent = [bytes((nth,)) * size for nth, size in enumerate(sizes)]
    data, buffer, found = b"".join(map(framed, sent)), MessageBuffer(5_000, gzip=False), []
    for cut in (*cuts, len(data)):
        buffer.append(data[:cut])
        data = data[cut:]
        found += everything(buffer)
    assert found == sent
    assert all(type(message) is bytes for message in found)


def test_the_largest_message_is_taken() -> None:
    buffer = MessageBuffer(LIMIT, gzip=False)
    buffer.append(framed(bytes(LIMIT)))
    assert buffer.next() == bytes(LIMIT)


def test_a_larger_message_is_refused_by_its_prefix() -> None:
    error = refusal(framed(bytes(LIMIT + 1))[:5])
    assert (error.code, error.message) == (
        Code.RESOURCE_EXHAUSTED,
        "a message is larger than 1,000 bytes",
    )


def test_the_largest_message_is_taken_compressed() -> None:
    buffer = MessageBuffer(LIMIT, gzip=True)
    buffer.append(framed_gzip(bytes(LIMIT)))
    assert buffer.next() == bytes(LIMIT)


def test_a_bomb_is_refused_at_the_limit() -> None:
    assert refusal(framed_gzip(bytes(LIMIT + 1))).code is Code.RESOURCE_EXHAUSTED


def test_a_message_is_inflated_in_stretches() -> None:
    size = 3 * INFLATED_AT_ONCE_BYTES + 1
    buffer = MessageBuffer(size, gzip=True)
    buffer.append(framed_gzip(bytes(size)))
    held = []
    while (message := buffer.next()) is None:
        assert buffer.is_behind
        held.append(buffer.held_bytes // INFLATED_AT_ONCE_BYTES)
    assert held == [1, 2, 3]
    assert (len(message), buffer.is_behind, buffer.held_bytes) == (size, False, 0)


@pytest.mark.parametrize("size", [0, INFLATED_AT_ONCE_BYTES, INFLATED_AT_ONCE_BYTES + 50_000])
@pytest.mark.parametrize("behind", [b"x", bytes(200_000)], ids=["an octet", "many"])
def test_what_stands_behind_the_end_of_gzip_is_refused_in_a_few_stretches(
    size: int, behind: bytes
) -> None:
    body = gzip.compress(bytes(size)) + behind
    buffer = MessageBuffer(2**24, gzip=True)
    buffer.append(b"\1" + len(body).to_bytes(4, "big") + body)
    with pytest.raises(CallRefused, match="not what gzip makes"):
        _ = [buffer.next() for _ in range(3)]


def test_what_is_inflated_waits_for_the_rest_of_its_message() -> None:
    data = framed_gzip(random.Random(1).randbytes(100_000))
    buffer = MessageBuffer(2**20, gzip=True)
    buffer.append(data[:60_000])
    assert (buffer.next(), buffer.is_behind, buffer.is_between) == (None, False, False)
    assert buffer.held_bytes > 50_000
    buffer.append(data[60_000:])
    assert buffer.next() == random.Random(1).randbytes(100_000)


def test_a_message_that_grows_a_hundredfold_is_refused_beyond_what_is_free() -> None:
    data = framed_gzip(bytes(INFLATED_FREE_BYTES + INFLATED_AT_ONCE_BYTES))
    assert len(data) * INFLATED_RATIO_MAX < INFLATED_FREE_BYTES
    buffer = MessageBuffer(2**26, gzip=True)
    buffer.append(data)
    for _ in range(INFLATED_FREE_BYTES // INFLATED_AT_ONCE_BYTES):
        assert buffer.next() is None
    with pytest.raises(CallRefused, match="more than 100 times its bytes") as raised:
        buffer.next()
    assert raised.value.code is Code.RESOURCE_EXHAUSTED
    assert buffer.held_bytes <= INFLATED_FREE_BYTES + INFLATED_AT_ONCE_BYTES


def test_a_message_may_grow_a_hundredfold_as_far_as_it_is_free() -> None:
    buffer = MessageBuffer(2**26, gzip=True)
    buffer.append(framed_gzip(bytes(INFLATED_FREE_BYTES)))
    while (message := buffer.next()) is None:
        assert buffer.is_behind
    assert len(message) == INFLATED_FREE_BYTES


@pytest.mark.parametrize("frame", [framed, framed_gzip])
def test_a_large_message_is_a_view_that_nobody_can_write_to(
    frame: Callable[[bytes], bytes],
) -> None:
    buffer = MessageBuffer(2**20, gzip=True)
    buffer.append(frame(bytes(LARGE_BYTES)) + frame(bytes(LARGE_BYTES + 1)))
    assert type(buffer.next()) is bytes
    view = buffer.next()
    assert isinstance(view, memoryview)
    assert (view.readonly, len(view)) == (True, LARGE_BYTES + 1)


def test_a_large_message_is_held_once() -> None:
    size, piece = 8 * 2**20, bytes(16_384)
    buffer = MessageBuffer(size, gzip=False)
    tracemalloc.start()
    try:
        buffer.append(framed(bytes(size))[:5])
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(size // len(piece)):
            buffer.append(piece)
            message = buffer.next()
        assert message is not None
        assert tracemalloc.get_traced_memory()[1] - before < 1.3 * size
    finally:
        tracemalloc.stop()


def test_a_compressed_message_needs_an_encoding() -> None:
    assert refusal(framed_gzip(b"abc"), gzip=False).code is Code.INTERNAL


@pytest.mark.parametrize(
    "body",
    [
        b"no gzip at all",
        gzip.compress(b"abc")[:-1],
        gzip.compress(b"abc") + b"more",
        gzip.compress(b"abc") + gzip.compress(b"abc"),
        b"",
    ],
    ids=["garbage", "cut", "garbage behind", "two members", "nothing"],
)
def test_what_gzip_would_not_make_is_refused(body: bytes) -> None:
    assert refusal(b"\1" + len(body).to_bytes(4, "big") + body).code is Code.INTERNAL


def test_a_flag_that_is_neither_0_nor_1_is_refused() -> None:
    assert refusal(b"\2\0\0\0\0").code is Code.INTERNAL


def test_an_empty_message_is_a_message() -> None:
    buffer = MessageBuffer(LIMIT, gzip=False)
    buffer.append(framed(b""))
    assert buffer.next() == b""
    assert buffer.next() is None


@given(st.binary(max_size=40))
def test_the_only_message_is_found_at_once(message: bytes) -> None:
    assert only_message(framed(message)) == message


@pytest.mark.parametrize(
    "data",
    [b"", b"\0\0\0\0", framed(b"abc")[:-1], framed(b"abc") + b"\0", b"\1\0\0\0\1a"],
    ids=["nothing", "part of a prefix", "part of a message", "more", "compressed"],
)
def test_anything_else_is_not_the_only_message(data: bytes) -> None:
    assert only_message(data) is None


@given(st.lists(st.binary(max_size=60), max_size=4), st.booleans())
def test_a_small_message_travels_in_one_piece_however_many_its_parts(
    parts: list[bytes], gzip: bool
) -> None:
    (piece,) = in_pieces(parts, gzip=gzip)
    buffer = MessageBuffer(LIMIT, gzip=gzip)
    buffer.append(bytes(piece))
    assert everything(buffer) == [b"".join(parts)]


def test_the_parts_of_a_large_message_are_not_copied() -> None:
    parts = (b"few", bytes(JOINED_BYTES_MAX))
    _, *sent = in_pieces(parts, gzip=False)
    assert [piece is part for piece, part in zip(sent, parts, strict=True)] == [True, True]


def test_a_message_of_no_parts_is_an_empty_one() -> None:
    assert in_pieces((), gzip=False) == (framed(b""),)
