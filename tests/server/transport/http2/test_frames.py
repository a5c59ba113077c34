"""Frames out of bytes: RFC 9113, section 4."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport.http2.errors import ConnectionFault, ErrorCode
from server.transport.http2.frames import FrameReader, frame, long_frame, read_long, without_padding
from tests.server.transport.http2.by_hand import raw

FRAME_BYTES_MAX = 16_384

frames = st.lists(
    st.tuples(
        st.integers(0, 255),
        st.integers(0, 255),
        st.integers(0, 2**31 - 1),
        st.one_of(st.binary(max_size=40), st.just(bytes(FRAME_BYTES_MAX))),
    ),
    max_size=6,
)


@given(frames, st.lists(st.integers(0, 20_000), max_size=12))
def test_frames_come_out_of_reads_of_any_size_as_they_went_in(
    wanted: list[tuple[int, int, int, bytes]], cuts: list[int]
) -> None:
    octets = b"".join(raw(*one) for one in wanted)
    reader = FrameReader(FRAME_BYTES_MAX)
    found: list[tuple[int, int, int, bytes]] = []
    places = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    for begin, end in pairwise(places):
        found += reader.read(octets[begin:end])
        assert len(reader.partial) < 9 + FRAME_BYTES_MAX
    assert found == wanted
    assert len(reader.partial) == 0


def test_a_frame_may_come_octet_by_octet() -> None:
    octets = raw(0, 1, 5, bytes(300)) + raw(6, 0, 0, bytes(8))
    reader = FrameReader(FRAME_BYTES_MAX)
    found = [one for octet in octets for one in reader.read(bytes((octet,)))]
    assert found == [(0, 1, 5, bytes(300)), (6, 0, 0, bytes(8))]


@pytest.mark.parametrize("read_before", [0, 2, 8])
def test_a_frame_that_is_too_large_is_refused_before_its_payload_comes(read_before: int) -> None:
    head = (FRAME_BYTES_MAX + 1).to_bytes(3) + bytes(6)
    reader = FrameReader(FRAME_BYTES_MAX)
    assert not list(reader.read(head[:read_before]))
    with pytest.raises(ConnectionFault) as caught:
        list(reader.read(head[read_before:]))
    assert caught.value.code is ErrorCode.FRAME_SIZE_ERROR
    assert caught.value.limit == "frame_bytes"


def test_frames_before_one_that_is_too_large_are_read() -> None:
    reading = FrameReader(FRAME_BYTES_MAX).read(raw(6, 0, 0, bytes(8)) + b"\xff" * 9)
    assert next(reading) == (6, 0, 0, bytes(8))
    with pytest.raises(ConnectionFault):
        next(reading)


def test_the_reserved_bit_of_a_stream_number_is_ignored() -> None:
    assert list(FrameReader(FRAME_BYTES_MAX).read(raw(8, 0, 2**31 + 7))) == [(8, 0, 7, b"")]


def test_frames_are_written_as_they_are_read() -> None:
    assert frame(1, 5, 2**31 - 1, b"x" * 70_000) == raw(1, 5, 2**31 - 1, b"x" * 70_000)
    assert long_frame(8, 3, 2**31 - 1) == raw(8, 0, 3, b"\x7f\xff\xff\xff")


def test_a_payload_that_is_one_number_takes_four_octets() -> None:
    assert read_long(b"\0\0\1\2", "RST_STREAM") == 258
    for payload in (b"", b"\0\0\0", bytes(5)):
        with pytest.raises(ConnectionFault) as caught:
            read_long(payload, "RST_STREAM")
        assert caught.value.code is ErrorCode.FRAME_SIZE_ERROR


@pytest.mark.parametrize(
    ("payload", "content"),
    [(b"\0abc", b"abc"), (b"\2abc\0\0", b"abc"), (b"\3\0\0\0", b""), (b"\0", b"")],
)
def test_padding_is_taken_off(payload: bytes, content: bytes) -> None:
    assert without_padding(payload) == content


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", ErrorCode.FRAME_SIZE_ERROR),
        (b"\1", ErrorCode.PROTOCOL_ERROR),
        (b"\4abc", ErrorCode.PROTOCOL_ERROR),
        (b"\xff" + bytes(254), ErrorCode.PROTOCOL_ERROR),
    ],
)
def test_padding_longer_than_its_frame_ends_the_connection(payload: bytes, code: int) -> None:
    with pytest.raises(ConnectionFault) as caught:
        without_padding(payload)
    assert caught.value.code == code
