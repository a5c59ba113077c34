"""gRPC's messages, cut and joined at any byte."""

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.status_code import Code
from server.transport.messages import MessageBuffer, framed, framed_gzip, only_message
from server.transport.status import CallRefused

LIMIT = 1_000
messages_ = st.lists(st.binary(max_size=60), max_size=6)


def everything(buffer: MessageBuffer) -> list[bytes]:
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
