"""Who is given up for reading too little; on a clock that the test turns."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport.serving.stalls import (
    STALL_BYTES,
    STREAM_STALL_BYTES,
    Outflow,
    Stalled,
    Stalls,
)

STALL_S = 30.0
NOBODY = Stalled((), connection=False)
NOTHING = Outflow(
    waits=False, written_bytes=0, arrived_bytes=0, data_bytes=0, streams={}, own=frozenset()
)
WAITING = NOTHING._replace(waits=True)


def stalls() -> Stalls:
    return Stalls(STALL_S, now_s=0.0)


def under_way(arrived_bytes: int, *, data_bytes: int = 0) -> Outflow:
    """The socket takes no more: a million bytes wait in it."""
    written_bytes = arrived_bytes + 10**6
    return WAITING._replace(
        written_bytes=written_bytes, arrived_bytes=arrived_bytes, data_bytes=data_bytes
    )


def held_back(sent_bytes: int, *, arrived: bool = True) -> Outflow:
    """Stream 1 waits for its own window, behind which so much has gone."""
    return NOTHING._replace(
        written_bytes=10**6,
        arrived_bytes=10**6 if arrived else 0,
        data_bytes=sent_bytes,
        streams={1: sent_bytes},
        own=frozenset({1}),
    )


def test_a_connection_on_which_nothing_waits_is_left_alone() -> None:
    watched = stalls()
    assert all(watched.look(NOTHING, now_s=now_s) == NOBODY for now_s in range(0, 1_000, 10))


@pytest.mark.parametrize("slow", [WAITING, under_way(0)])
def test_a_reader_that_takes_nothing_is_given_up_when_its_time_is_over(slow: Outflow) -> None:
    watched = stalls()
    assert watched.look(slow, now_s=29.999) == NOBODY
    assert watched.look(slow, now_s=30.0).connection


def test_a_reader_has_to_take_enough_of_what_its_socket_holds_back() -> None:
    watched = stalls()
    assert watched.look(under_way(STALL_BYTES), now_s=29.999) == NOBODY
    # More data is let through by windows, but nobody takes it.
    trickle = under_way(2 * STALL_BYTES - 1, data_bytes=10**6)
    assert watched.look(trickle, now_s=59.998) == NOBODY
    assert watched.look(trickle, now_s=59.999).connection


def test_a_reader_has_to_take_enough_of_what_its_window_holds_back() -> None:
    watched = stalls()
    assert watched.look(WAITING._replace(data_bytes=STALL_BYTES), now_s=29.999) == NOBODY
    # What else is said, such as answers to its pings, arrives, but is no data.
    said = 10**6
    trickle = Outflow(
        waits=True,
        written_bytes=said,
        arrived_bytes=said,
        data_bytes=2 * STALL_BYTES - 1,
        streams={},
        own=frozenset(),
    )
    assert watched.look(trickle, now_s=59.998) == NOBODY
    assert watched.look(trickle, now_s=59.999).connection


@pytest.mark.parametrize("late_s", [0.0, 0.001])
def test_the_time_of_a_stall_begins_when_the_reader_falls_behind(late_s: float) -> None:
    watched = stalls()
    assert watched.look(NOTHING, now_s=64.0 + late_s) == NOBODY
    assert watched.look(WAITING, now_s=64.0 + late_s) == NOBODY
    assert watched.look(WAITING, now_s=93.999 + late_s) == NOBODY
    assert watched.look(WAITING, now_s=94.0 + late_s).connection


def test_a_stream_whose_window_stays_closed_is_ended_and_the_connection_goes_on() -> None:
    watched = stalls()
    assert watched.look(held_back(0), now_s=10.0) == NOBODY
    assert watched.look(held_back(0), now_s=39.999) == NOBODY
    assert watched.look(held_back(0), now_s=40.0) == Stalled((1,), connection=False)


def test_a_stream_whose_window_opens_by_a_byte_now_and_then_is_ended() -> None:
    watched = stalls()
    ended = [bool(watched.look(held_back(s // 5), now_s=s).streams) for s in range(0, 35, 5)]
    assert ended == [False] * 6 + [True]


def test_a_stream_that_is_held_back_by_one_window_after_the_other_is_ended() -> None:
    watched = stalls()
    own = held_back(0)
    other = own._replace(waits=True, own=frozenset())
    looks = [watched.look(other if at % 2 else own, now_s=10.0 * at) for at in range(5)]
    assert [look.streams for look in looks] == [(), (), (), (), (1,)]


def test_a_stream_that_takes_enough_goes_on() -> None:
    watched = stalls()
    for s in range(0, 1_000, 20):
        assert watched.look(held_back(s // 20 * STREAM_STALL_BYTES), now_s=s) == NOBODY


def test_a_stream_is_not_ended_while_its_data_is_under_way() -> None:
    """On a slow link with deep buffers the peer cannot yet know that its window is closed."""
    watched = stalls()
    for s in range(0, 200, 10):
        assert watched.look(held_back(0, arrived=False), now_s=s) == NOBODY
    assert watched.look(held_back(0), now_s=200.0) == NOBODY
    assert watched.look(held_back(0), now_s=229.999) == NOBODY
    assert watched.look(held_back(0), now_s=230.0).streams == (1,)


def test_a_stream_that_has_ended_is_forgotten() -> None:
    watched = stalls()
    watched.look(held_back(0), now_s=0.0)
    watched.look(NOTHING, now_s=10.0)
    assert watched.look(held_back(0), now_s=30.0) == NOBODY


def looked_at(watched: Stalls, flows: Iterable[Outflow], every_s: float) -> list[Stalled]:
    return [watched.look(flow, now_s=i * every_s) for i, flow in enumerate(flows)]


@given(
    takes=st.lists(st.integers(STALL_BYTES // 3 + 1, 10**6), max_size=50),
    windows=st.lists(st.booleans(), min_size=50, max_size=50),
)
def test_whoever_takes_enough_each_time_is_never_given_up(
    takes: list[int], windows: list[bool]
) -> None:
    """By window or by socket, looked at three times in each stall's time."""
    flows, taken = [], 0
    for took, by_window in zip(takes, windows, strict=False):
        taken += took
        flow = under_way(taken, data_bytes=taken)
        flows.append(flow._replace(written_bytes=taken) if by_window else flow)
    assert not any(found.connection for found in looked_at(stalls(), flows, 10.0))


@given(
    takes=st.lists(st.integers(0, STALL_BYTES // 2), min_size=3, max_size=3),
    says=st.lists(st.integers(0, 10**6), min_size=3, max_size=3),
)
def test_what_a_reader_makes_us_say_besides_is_no_progress(
    takes: list[int], says: list[int]
) -> None:
    flows, taken, said = [NOTHING], 0, 0
    for took, more in zip(takes, says, strict=True):
        taken, said = taken + took, said + more
        both = taken + said
        flows.append(NOTHING._replace(waits=True, written_bytes=both, arrived_bytes=both))
        flows[-1] = flows[-1]._replace(data_bytes=taken)
    enough = sum(takes) >= STALL_BYTES
    assert looked_at(stalls(), flows, 10.0)[-1].connection is not enough
