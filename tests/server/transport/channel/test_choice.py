"""Where a call goes, by what a pool knows of its connections."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport.channel.choice import (
    Growth,
    Standing,
    WithoutRoom,
    choose,
    growth,
    without_room,
)
from server.transport.channel.limits import ChannelLimits

LIMITS = ChannelLimits(connections=2, waiting_calls=3)


class Left(NamedTuple):
    """What a connection has left."""

    name: str
    streams_free: int = 1
    bytes_free: int = 1_000


def chosen(*connections: Left, large_bytes: int = 0) -> str | None:
    found = choose(connections, large_bytes)
    return None if found is None else found.name


def test_a_call_goes_to_the_oldest_connection_that_has_a_stream() -> None:
    assert chosen(Left("a"), Left("b")) == "a"
    assert chosen(Left("a", streams_free=0), Left("b")) == "b"


def test_without_a_connection_or_a_stream_there_is_no_room() -> None:
    assert chosen() is None
    assert chosen(Left("a", streams_free=0), Left("b", streams_free=-5)) is None


def test_a_large_request_goes_where_it_has_room() -> None:
    assert chosen(Left("a", bytes_free=999), Left("b"), large_bytes=1_000) == "b"
    assert chosen(Left("a", bytes_free=999), large_bytes=1_000) is None


def test_a_small_request_needs_no_room() -> None:
    assert chosen(Left("a", bytes_free=-1)) == "a"


@given(
    st.lists(st.builds(Left, st.just(""), st.integers(-2, 2), st.integers(-2, 2))),
    st.integers(0, 3),
)
def test_there_is_room_if_and_only_if_one_connection_has_all_that_is_needed(
    connections: list[Left], large_bytes: int
) -> None:
    fits = [
        one
        for one in connections
        if one.streams_free > 0 and (one.bytes_free >= large_bytes or not large_bytes)
    ]
    assert choose(connections, large_bytes) == (fits[0] if fits else None)


@pytest.mark.parametrize(
    ("pool", "fate"),
    [
        (Standing(), WithoutRoom.WAIT),
        (Standing(taking=1, waiting=2), WithoutRoom.WAIT),
        (Standing(taking=1, is_backing_off=True), WithoutRoom.WAIT),
        (Standing(is_backing_off=True), WithoutRoom.UNREACHABLE),
        (Standing(open=1, is_backing_off=True), WithoutRoom.UNREACHABLE),
        (Standing(waiting=3, is_backing_off=True), WithoutRoom.UNREACHABLE),
        (Standing(taking=1, waiting=3), WithoutRoom.BEHIND),
        (Standing(waiting=3, is_connecting=True), WithoutRoom.BEHIND),
    ],
)
def test_a_call_waits_unless_the_endpoint_is_out_of_reach_or_far_behind(
    pool: Standing, fate: WithoutRoom
) -> None:
    assert without_room(pool, LIMITS) is fate


@pytest.mark.parametrize(
    ("pool", "due"),
    [
        (Standing(), Growth.NOTHING),
        (Standing(waiting=1), Growth.CONNECT),
        (Standing(taking=1, open=1, waiting=1), Growth.CONNECT),
        (Standing(waiting=1, is_connecting=True), Growth.NOTHING),
        (Standing(taking=2, open=2, waiting=1), Growth.NOTHING),
        (Standing(open=2, waiting=1, is_backing_off=True), Growth.NOTHING),
        (Standing(waiting=1, is_backing_off=True), Growth.GIVE_UP),
        (Standing(taking=1, open=1, waiting=1, is_backing_off=True), Growth.NOTHING),
    ],
)
def test_one_connection_more_is_made_for_calls_that_wait(pool: Standing, due: Growth) -> None:
    assert growth(pool, LIMITS) is due
