"""What costs us work and the peer nothing may come so often, and no more."""

from collections.abc import Callable

import pytest

from server.transport.http2.connection import Connection
from server.transport.http2.errors import ConnectionFault, ErrorCode
from server.transport.http2.floods import Allowance, Floods
from server.transport.http2.limits import Limits, Rate
from tests.server.transport.http2 import by_hand
from tests.server.transport.http2.by_hand import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    REQUEST,
    RESPONSE,
    SETTINGS,
    block,
    codes,
    headers,
    raw,
    rst_stream,
    sent,
    setting,
    window_update,
)

OPEN = headers(1, flags=END_HEADERS)
RATE = Rate(burst=10, per_s=5)

# Of each: what is repeated, for the nth time.
FLOODS: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "pings": ("pings", lambda _: raw(PING, 0, 0, bytes(8))),
    "answers to no ping": ("pings", lambda _: raw(PING, ACK, 0, bytes(8))),
    "settings": ("settings", lambda _: raw(SETTINGS, 0, 0)),
    "acknowledgements": ("settings", lambda _: raw(SETTINGS, ACK, 0)),
    "updates of the connection": ("window_updates", lambda _: window_update(0, 1)),
    "updates of a stream": ("window_updates", lambda _: window_update(1, 1)),
    "priorities": ("ignored_frames", lambda _: raw(PRIORITY, 0, 1, bytes(5))),
    "unknown frames": ("ignored_frames", lambda _: raw(0xFE, 0, 0, b"?")),
    "farewells": ("ignored_frames", lambda _: raw(GOAWAY, 0, 0, bytes(8))),
    "empty data": ("empty_frames", lambda _: raw(DATA, 0, 1)),
    "empty data of a stream that was reset": (
        "ignored_frames",
        lambda n: (b"" if n else headers(3, ())) + raw(DATA, END_STREAM, 3),
    ),
    "heads that are too large, of a stream that was reset": (
        "ignored_frames",
        lambda n: (b"" if n else headers(3, ())) + raw(HEADERS, END_HEADERS, 3, b"\x82" * 1_000),
    ),
    "padding alone": ("empty_frames", lambda _: raw(DATA, by_hand.PADDED, 1, b"\1\0")),
    "rapid resets": (
        "peer_resets",
        lambda n: headers(2 * n + 3, flags=END_HEADERS) + rst_stream(2 * n + 3),
    ),
    "resets of a closed stream": ("peer_resets", lambda n: rst_stream(1)),
    "malformed heads": ("stream_errors", lambda n: headers(2 * n + 3, ())),
    "updates by nothing": (
        "stream_errors",
        lambda n: headers(2 * n + 3) + window_update(2 * n + 3, 0),
    ),
    "updates beyond all": (
        "stream_errors",
        lambda n: headers(2 * n + 3) + window_update(2 * n + 3, 2**31 - 1),
    ),
    "data after the end": (
        "stream_errors",
        lambda n: headers(2 * n + 3) + raw(DATA, 0, 2 * n + 3, b"x"),
    ),
    "priorities of another size": (
        "stream_errors",
        lambda n: headers(2 * n + 3) + raw(PRIORITY, 0, 2 * n + 3, bytes(4)),
    ),
    "empty heads that go on": (
        "empty_frames",
        lambda n: (
            raw(HEADERS, 0, 2 * n + 3) + raw(CONTINUATION, END_HEADERS, 2 * n + 3, block(REQUEST))
        ),
    ),
}


def flooded(limit: str) -> Connection:
    """A server with one open stream, on which this limit is low, and spent by nothing yet."""
    limits = Limits(**{limit: RATE})  # type: ignore[arg-type]  # each of the names is a Rate
    connection = Connection(client=False, limits=limits)
    connection.receive(by_hand.PREFACE + raw(SETTINGS, 0, 0) + OPEN, -100.0)
    connection.take_output()
    return connection


@pytest.mark.parametrize(("limit", "octets"), FLOODS.values(), ids=FLOODS)
def test_a_flood_is_cut_off(limit: str, octets: Callable[[int], bytes]) -> None:
    connection = flooded(limit)
    for nth in range(RATE.burst):
        connection.receive(octets(nth), 0.0)
        connection.take_output()
    assert connection.ended is None
    heard = connection.receive(octets(RATE.burst), 0.0)
    assert connection.ended == heard[-1]
    assert (connection.ended.code, connection.ended.limit) == (ErrorCode.ENHANCE_YOUR_CALM, limit)
    assert codes(sent(connection))[-1] == (0, ErrorCode.ENHANCE_YOUR_CALM)


@pytest.mark.parametrize(("limit", "octets"), FLOODS.values(), ids=FLOODS)
def test_the_same_at_an_allowed_rate_goes_on_for_ever(
    limit: str, octets: Callable[[int], bytes]
) -> None:
    connection = flooded(limit)
    for nth in range(20 * RATE.burst):
        connection.receive(octets(nth), nth / RATE.per_s)
        connection.take_output()
    assert connection.ended is None


def test_empty_parts_of_a_head_are_cut_off() -> None:
    connection = flooded("empty_frames")
    connection.receive(raw(HEADERS, 0, 3) + raw(CONTINUATION, 0, 3) * RATE.burst, 0.0)
    assert connection.ended is not None
    assert connection.ended.limit == "empty_frames"


def test_tiny_windows_are_cut_off() -> None:
    connection = by_hand.server(Limits(tiny_frames=RATE), first=setting(4, 0))
    connection.receive(headers(1), 0.0)
    connection.send_data(1, bytes(1_000))
    for _ in range(RATE.burst):
        connection.receive(window_update(1, 1), 0.0)
    assert connection.ended is None
    connection.receive(window_update(1, 1), 0.0)
    assert connection.ended is not None
    assert connection.ended.limit == "tiny_frames"


def test_streams_that_begin_with_tiny_windows_are_cut_off() -> None:
    connection = by_hand.server(Limits(tiny_frames=RATE), first=setting(4, 1))
    for nth in range(RATE.burst + 1):
        assert connection.ended is None
        connection.receive(headers(2 * nth + 1), 0.0)
        connection.send_whole(2 * nth + 1, RESPONSE, b"longer", by_hand.TRAILERS)
    assert connection.ended is not None
    assert connection.ended.limit == "tiny_frames"


def test_data_that_we_send_earns_updates_and_pings() -> None:
    low = Rate(burst=4, per_s=0)
    connection = by_hand.server(Limits(window_updates=low, pings=low))
    for nth in range(100):
        stream_id = 2 * nth + 1
        heard = connection.receive(headers(stream_id), 0.0)
        assert heard
        connection.send_whole(stream_id, RESPONSE, b"some data", by_hand.TRAILERS)
        connection.receive(window_update(stream_id, 9) + window_update(0, 9), 0.0)
        connection.receive(raw(PING, 0, 0, bytes(8)), 0.0)
    assert connection.ended is None
    connection.receive(raw(PING, 0, 0, bytes(8)) * 5, 0.0)
    assert connection.ended is not None


def test_a_servers_resets_and_interim_heads_are_no_flood_until_they_are_many() -> None:
    client = by_hand.client(Limits(ignored_frames=RATE, peer_resets=Rate(0, 0)))
    for _ in range(50):
        stream_id = client.request(REQUEST, b"")
        client.receive(rst_stream(stream_id, ErrorCode.REFUSED_STREAM), 0.0)
    assert client.ended is None
    client.receive(rst_stream(1) * 11, 0.0)
    assert client.ended is not None
    assert client.ended.limit == "ignored_frames"
    client = by_hand.client(Limits(ignored_frames=RATE))
    client.request(REQUEST, b"")
    client.receive(headers(1, ((b":status", b"100"),), flags=END_HEADERS) * 11, 0.0)
    assert client.ended is not None
    assert client.ended.limit == "ignored_frames"


def test_an_allowance_fills_with_time_and_with_what_is_earned_but_never_over() -> None:
    allowance = Allowance(Rate(burst=2, per_s=1), 0.0, 2)
    assert [allowance.take(0.0, 0) for _ in range(3)] == [True, True, False]
    assert [allowance.take(1.0, 0), allowance.take(1.5, 0), allowance.take(2.0, 0)] == [1, 0, 1]
    assert [allowance.take(2.0, 1) for _ in range(3)] == [True, True, False]
    assert [allowance.take(1e9, 10**9) for _ in range(3)] == [True, True, False]


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    allowance = Allowance(Rate(burst=1, per_s=1), 100.0, 0)
    assert allowance.take(50.0, 0)
    assert not allowance.take(50.5, 0)
    assert allowance.take(51.5, 0)


def test_what_was_sent_before_the_first_of_a_kind_is_no_credit() -> None:
    floods = Floods(Limits(pings=Rate(1, 0)))
    floods.data_frames = 1_000
    floods.count("pings")
    with pytest.raises(ConnectionFault, match="too many pings"):
        floods.count("pings")
