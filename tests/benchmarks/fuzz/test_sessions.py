"""What was changed is made sense of again, so that a connection outlives its first frame."""

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fuzz import frames
from benchmarks.fuzz.frames import END_HEADERS, END_STREAM, PREFACE, Frame, read_frames
from benchmarks.fuzz.sessions import FRAME_BYTES_MAX, mended, mending
from benchmarks.fuzz.transport import TRANSPORT
from server.transport.http2.connection import Connection
from server.transport.http2.errors import ErrorCode
from server.transport.http2.hpack.encoder import Encoder

HEAD = Encoder().encode(((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a")))
WHOLE = END_HEADERS | END_STREAM

any_frames = st.builds(
    Frame,
    st.integers(0, 11),
    st.integers(0, 255),
    st.integers(0, 9),
    st.binary(max_size=20) | st.just(HEAD),
)


def said(given: Sequence[Frame]) -> list[tuple[int, int, int]]:
    return [(frame.kind, frame.flags, frame.stream_id) for frame in mended(given)]


@given(st.lists(any_frames, max_size=20))
def test_frames_never_come_in_a_wrong_place_or_size(given: list[Frame]) -> None:
    """Heads and parameters may still be nonsense, and windows too wide."""
    nonsense = (frames.HEADERS, frames.CONTINUATION, frames.SETTINGS)
    sound = [frame for frame in given if frame.kind not in nonsense]
    opening = [Frame(frames.SETTINGS, 0, 0, b""), Frame(frames.HEADERS, END_HEADERS, 1, HEAD)]
    octets = b"".join(frame.octets() for frame in mended([*opening, *sound]))
    connection = Connection(client=False)
    connection.receive(PREFACE + octets, 0.0)
    assert connection.ended is None or connection.ended.code == ErrorCode.FLOW_CONTROL_ERROR


def test_streams_begin_in_order_and_later_frames_follow_them() -> None:
    given = [
        Frame(frames.HEADERS, END_HEADERS, 9, HEAD),
        Frame(frames.DATA, 0, 9, b"a"),
        Frame(frames.HEADERS, END_HEADERS, 3, HEAD),
        Frame(frames.DATA, END_STREAM, 9, b"b"),
        Frame(frames.DATA, 0, 9, b"nobody's any more"),
    ]
    assert said(given) == [
        (frames.HEADERS, END_HEADERS, 1),
        (frames.DATA, 0, 1),
        (frames.HEADERS, END_HEADERS, 3),
        (frames.DATA, END_STREAM, 1),
    ]


def test_a_block_is_ended_before_anything_else_comes() -> None:
    given = [Frame(frames.HEADERS, 0, 1, HEAD), Frame(frames.PING, 0, 0, b"")]
    assert said(given) == [
        (frames.HEADERS, 0, 1),
        (frames.CONTINUATION, END_HEADERS, 1),
        (frames.PING, 0, 0),
    ]


def test_frames_are_cut_to_what_they_may_be() -> None:
    given = [Frame(frames.HEADERS, WHOLE, 1, bytes(99_999)), Frame(frames.PING, 0, 5, b"123")]
    head, ping = mended(given)
    assert (len(head.payload), len(ping.payload)) == (FRAME_BYTES_MAX, 8)


def test_some_changes_are_left_as_they_are() -> None:
    def broken(_data: bytes, _dice: random.Random, _others: Sequence[bytes]) -> bytes:
        return b"\0" + PREFACE + Frame(frames.PING, 0, 7, b"too long for it").octets()

    made = [mending(broken)(b"\0", random.Random(i), ()) for i in range(100)]
    pings = [next(read_frames(octets[1 + len(PREFACE) :])) for octets in made]
    assert 5 < sum(ping.stream_id == 7 for ping in pings) < 50


def test_what_callers_begin_with_needs_no_mending() -> None:
    connections = next(target for target in TRANSPORT if target.name == "connection")
    for seed in connections.seeds():
        octets = seed[1 + len(PREFACE) :]
        assert len(list(read_frames(octets))) >= 2
