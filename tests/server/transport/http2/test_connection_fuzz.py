"""Whatever bytes come, in whatever pieces: events, bounded memory, and nothing else."""

from collections.abc import Sequence
from typing import get_args

from hypothesis import example, given
from hypothesis import strategies as st

from server.transport.http2.connection import Connection
from server.transport.http2.events import ConnectionEnded, Event, HeadersReceived
from server.transport.http2.limits import KIB, Limits, Rate
from tests.server.transport.http2 import by_hand
from tests.server.transport.http2.by_hand import PREFACE, RESPONSE, TRAILERS, block, headers, raw

LIMITS = Limits(
    concurrent_streams=8,
    header_list_bytes=2 * KIB,
    header_block_bytes=4 * KIB,
    stream_window_bytes=65_535,
    connection_window_bytes=65_535,
    control_output_bytes=4 * KIB,
    empty_frames=Rate(20, 0),
    pings=Rate(40, 0),
    settings=Rate(40, 0),
)
# A frame and a head that are not complete, answers of one turn, and the GOAWAY behind them.
HELD_BYTES_MAX = LIMITS.frame_bytes + LIMITS.header_block_bytes + LIMITS.control_output_bytes + KIB
EVENTS = get_args(Event)

stream_ids = st.sampled_from((0, 1, 1, 2, 3, 3, 5, 7, 9, 2**31 - 1, 2**31 + 1))
flags = st.sampled_from((0, 1, 4, 5, 8, 9, 12, 13, 0x20, 0x24, 0x25, 0x2D, 0xFF))
longs = st.sampled_from((0, 1, 2, 100, 65_535, 2**31 - 1, 2**31, 2**32 - 1)).map(
    lambda value: value.to_bytes(4)
)
parameters = st.tuples(st.integers(0, 7).map(lambda name: name.to_bytes(2)), longs).map(b"".join)
fields = st.sampled_from(
    (
        *by_hand.REQUEST,
        *RESPONSE,
        *TRAILERS,
        (b"content-length", b"3"),
        (b"Upper", b"x"),
        (b"connection", b"close"),
        (b"x", b" y"),
        (b":status", b"100"),
    )
)
blocks = st.one_of(
    st.just(block(by_hand.REQUEST)),
    st.just(block(RESPONSE)),
    st.just(block(TRAILERS)),
    st.lists(fields, max_size=6).map(block),
    st.binary(max_size=12),
)
payloads = st.one_of(blocks, st.binary(max_size=40), longs, longs.map(lambda value: value * 2))


@st.composite
def any_frame(draw: st.DrawFn) -> bytes:
    return raw(draw(st.integers(0, 11)), draw(flags), draw(stream_ids), draw(payloads))


likely_frames = st.one_of(
    st.tuples(stream_ids, flags, blocks).map(
        lambda a: raw(by_hand.HEADERS, a[1] & 0x25, a[0], a[2])
    ),
    st.tuples(stream_ids, st.integers(0, 1), st.binary(max_size=30)).map(
        lambda a: raw(by_hand.DATA, a[1], a[0], a[2])
    ),
    st.tuples(stream_ids, longs).map(lambda a: raw(by_hand.WINDOW_UPDATE, 0, *a)),
    st.tuples(stream_ids, longs).map(lambda a: raw(by_hand.RST_STREAM, 0, *a)),
    st.lists(parameters, max_size=4).map(lambda a: raw(by_hand.SETTINGS, 0, 0, b"".join(a))),
    st.binary(min_size=8, max_size=8).map(lambda a: raw(by_hand.PING, 0, 0, a)),
    st.tuples(stream_ids, blocks).map(lambda a: raw(by_hand.CONTINUATION, 4, *a)),
    any_frame(),
)

# What valid sessions look like, to be mutilated.
SESSION_OF_A_CLIENT = (
    raw(by_hand.SETTINGS, 0, 0, by_hand.setting(4, 1_000)),
    raw(by_hand.SETTINGS, by_hand.ACK, 0),
    headers(1, flags=by_hand.END_HEADERS),
    raw(by_hand.DATA, 0, 1, b"\0\0\0\0\5hello"),
    raw(by_hand.DATA, by_hand.END_STREAM, 1, b""),
    headers(3, flags=by_hand.END_STREAM),
    raw(by_hand.CONTINUATION, by_hand.END_HEADERS, 3, b""),
    by_hand.window_update(0, 1_000),
    raw(by_hand.PING, 0, 0, b"12345678"),
    headers(5, flags=by_hand.END_HEADERS),
    raw(by_hand.DATA, by_hand.PADDED, 5, b"\3abc\0\0\0"),
    headers(5, TRAILERS),
    headers(7, flags=by_hand.END_HEADERS),
    by_hand.rst_stream(7),
    raw(by_hand.GOAWAY, 0, 0, bytes(8)),
)
SESSION_OF_A_SERVER = (
    raw(by_hand.SETTINGS, 0, 0, by_hand.setting(3, 100)),
    raw(by_hand.SETTINGS, by_hand.ACK, 0),
    headers(1, ((b":status", b"103"),), flags=by_hand.END_HEADERS),
    headers(1, RESPONSE, flags=by_hand.END_HEADERS),
    raw(by_hand.DATA, 0, 1, b"\0\0\0\0\5hello"),
    headers(1, TRAILERS),
    headers(3, RESPONSE + TRAILERS),
    raw(by_hand.PING, by_hand.ACK, 0, b"12345678"),
    by_hand.rst_stream(5),
    raw(by_hand.GOAWAY, 0, 0, bytes(8)),
)


@st.composite
def mutilated(draw: st.DrawFn, session: Sequence[bytes]) -> bytes:
    """A session with frames cut out, twice, elsewhere or with other bytes in them."""
    parts = list(session)
    for _ in range(draw(st.integers(1, 4))):
        at, to = draw(st.integers(0, len(parts) - 1)), draw(st.integers(0, len(parts) - 1))
        match draw(st.sampled_from(("flip", "cut", "twice", "swap", "drop", "insert"))):
            case "flip":
                octets = bytearray(parts[at] or b"\0")
                octets[draw(st.integers(0, len(octets) - 1))] ^= 1 << draw(st.integers(0, 7))
                parts[at] = bytes(octets)
            case "cut":
                parts[at] = parts[at][: draw(st.integers(0, len(parts[at])))]
            case "twice":
                parts.insert(to, parts[at])
            case "swap":
                parts[at], parts[to] = parts[to], parts[at]
            case "drop":
                parts[at] = b""
            case _:
                parts.insert(at, draw(likely_frames))
    return b"".join(parts)


from_client = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=200).map(lambda octets: PREFACE + octets),
    st.lists(likely_frames, max_size=20).map(lambda f: PREFACE + raw(4, 0, 0) + b"".join(f)),
    mutilated((PREFACE, *SESSION_OF_A_CLIENT)),
)
from_server = st.one_of(
    st.binary(max_size=200),
    st.lists(likely_frames, max_size=20).map(lambda f: raw(4, 0, 0) + b"".join(f)),
    mutilated(SESSION_OF_A_SERVER),
)


def a_server() -> Connection:
    return Connection(client=False, limits=LIMITS)


def a_client() -> Connection:
    """With three calls on their way: one sends still, one is whole, one was taken back."""
    connection = Connection(client=True, limits=LIMITS)
    connection.open_stream(by_hand.REQUEST)
    connection.request(by_hand.REQUEST, b"hello")
    connection.open_stream(by_hand.REQUEST)
    connection.reset(5)
    connection.take_output()
    return connection


def heard(connection: Connection, pieces: Sequence[bytes]) -> list[Event]:
    """All events; the promises that hold after every piece are looked at."""
    events: list[Event] = []
    for piece in pieces:
        events += connection.receive(piece, 0.0)
        assert connection.held_bytes <= HELD_BYTES_MAX
        assert connection.open_streams <= LIMITS.concurrent_streams
    assert all(isinstance(event, EVENTS) for event in events)
    ends = [at for at, event in enumerate(events) if isinstance(event, ConnectionEnded)]
    assert ends in ([], [len(events) - 1])
    return events


def cut(octets: bytes, places: Sequence[int]) -> list[bytes]:
    at = sorted({place for place in places if place < len(octets)} | {0})
    return [octets[a:b] for a, b in zip(at, [*at[1:], len(octets)], strict=True)]


cuts = st.lists(st.integers(0, 400), max_size=8)


@given(from_client, cuts)
@example(PREFACE + b"".join(SESSION_OF_A_CLIENT), [])
def test_a_server_takes_any_bytes_in_any_pieces(octets: bytes, places: list[int]) -> None:
    whole, pieces, single = a_server(), a_server(), a_server()
    events = heard(whole, [octets])
    assert heard(pieces, cut(octets, places)) == events
    assert heard(single, [octets[at : at + 1] for at in range(len(octets))]) == events
    assert whole.take_output() == pieces.take_output() == single.take_output()


@given(from_server, cuts)
@example(b"".join(SESSION_OF_A_SERVER), [])
def test_a_client_takes_any_bytes_in_any_pieces(octets: bytes, places: list[int]) -> None:
    whole, pieces, single = a_client(), a_client(), a_client()
    events = heard(whole, [octets])
    assert heard(pieces, cut(octets, places)) == events
    assert heard(single, [octets[at : at + 1] for at in range(len(octets))]) == events
    assert whole.take_output() == pieces.take_output() == single.take_output()


@given(from_client, cuts, st.integers(0, 100_000))
def test_a_server_that_answers_takes_any_bytes(octets: bytes, places: list[int], size: int) -> None:
    connection = a_server()
    for piece in cut(octets, places):
        for event in connection.receive(piece, 0.0):
            if isinstance(event, HeadersReceived):
                connection.send_whole(event.stream_id, RESPONSE, bytes(size), TRAILERS)
        by_hand.sent(connection)


def test_the_sessions_to_mutilate_are_valid() -> None:
    for connection, octets in (
        (a_server(), PREFACE + b"".join(SESSION_OF_A_CLIENT)),
        (a_client(), b"".join(SESSION_OF_A_SERVER)),
    ):
        events = connection.receive(octets, 0.0)
        assert len(events) > 6
        assert connection.ended is None
