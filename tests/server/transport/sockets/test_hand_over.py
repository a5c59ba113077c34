"""Both ends of a channel between the supervisor and a worker, on real sockets."""

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from server.transport.sockets.hand_over import Counts, Taker, give, pair, read_counts


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = pair()
    yield ours, theirs
    ours.close()
    theirs.close()


@contextmanager
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A caller's end, and the one that was accepted."""
    caller, accepted = socket.socketpair()
    with caller, accepted:
        yield caller, accepted


async def heard(channel: socket.socket) -> Counts:
    """What the worker says next."""
    ready = asyncio.Event()
    asyncio.get_running_loop().add_reader(channel, ready.set)
    await ready.wait()
    asyncio.get_running_loop().remove_reader(channel)
    said = read_counts(channel)
    assert said is not None
    return said


async def test_a_connection_goes_over_and_its_end_is_told(
    channel: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = channel
    taken: list[socket.socket] = []
    taker = Taker(theirs, taken.append)
    taker.start()
    with connection() as (caller, accepted):
        assert give(ours, accepted)
        accepted.close()
        assert await heard(ours) == Counts(taken=1, ended=0)
        with taken[0] as connected:
            connected.send(b"hello")
        assert caller.recv(5) == b"hello"
    taker.report_end()
    assert await heard(ours) == Counts(taken=0, ended=1)
    taker.close()


async def test_what_was_handed_over_before_the_stop_is_taken(
    channel: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = channel
    taken: list[socket.socket] = []
    taker = Taker(theirs, taken.append)
    taker.start()
    with connection() as (_, accepted):
        for _ in range(3):
            assert give(ours, accepted)
        taker.stop()
        with pytest.raises(ConnectionError):  # and what comes after goes to another worker
            give(ours, accepted)
    assert len(taken) == 3
    for one in taken:
        one.close()
    taker.close()


async def test_a_worker_that_is_gone_is_told_apart_from_one_that_says_nothing(
    channel: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = channel
    assert read_counts(ours) == Counts(0, 0)
    theirs.close()
    assert read_counts(ours) is None
    with connection() as (_, accepted), pytest.raises(ConnectionError):
        give(ours, accepted)


async def test_a_worker_that_takes_nothing_is_given_a_bounded_number(
    channel: tuple[socket.socket, socket.socket],
) -> None:
    with connection() as (_, accepted):
        given = 0
        while give(channel[0], accepted) and given < 10_000:
            given += 1
    assert 64 <= given < 10_000


async def test_what_a_busy_supervisor_does_not_hear_at_once_it_hears_later(
    channel: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = channel
    taker = Taker(theirs, lambda _: None)
    for _ in range(5_000):  # far beyond what the channel holds
        taker.report_end()
    ended = 0
    while ended < 5_000:
        ended += (await heard(ours)).ended
    assert ended == 5_000
    taker.close()


async def test_the_end_of_the_supervisor_is_no_error(
    channel: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = channel
    taker = Taker(theirs, lambda _: None)
    taker.start()
    ours.close()
    taker.report_end()
    await asyncio.sleep(0)
    taker.stop()
    taker.close()
    taker.report_end()


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """This process can open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as opened:
        last = os.dup(0)
        opened.callback(os.close, last)
        resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1, hard))
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        while True:  # fill the gaps below
            try:
                opened.callback(os.close, os.dup(0))
            except OSError:
                break
        yield


async def test_a_connection_that_a_worker_has_no_descriptor_for_is_closed(
    channel: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = channel
    taken: list[socket.socket] = []
    taker = Taker(theirs, taken.append)
    taker.start()
    with connection() as (caller, accepted):
        assert give(ours, accepted)
        accepted.close()
        with no_descriptor_left():
            assert await heard(ours) == Counts(taken=1, ended=1)
        assert caller.recv(1) == b""
    assert taken == []
    taker.close()
