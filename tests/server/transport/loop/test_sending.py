"""What is written at once, of what the peer's windows allow."""

import asyncio
from collections.abc import Callable

import pytest

from server.transport.http2.connection import Connection
from server.transport.http2.events import StreamWritable
from server.transport.http2.limits import Limits
from server.transport.http2.output import ROOM_BYTES
from server.transport.http2.sender import OUTPUT_BYTES, TURN_BYTES_MAX
from server.transport.loop.link import Link
from tests.server.transport.http2 import by_hand
from tests.server.transport.http2.by_hand import (
    DATA,
    HEADERS,
    RESPONSE,
    TRAILERS,
    headers,
    read_frames,
    setting,
    window_update,
)

# What a write may carry beside its data: heads of frames.
HEADS_BYTES = 1_024
WIDE = setting(4, 2**31 - 1) + setting(5, 2**24 - 1)


def wide(*, calls: int = 1, limits: Limits | None = None) -> Connection:
    """A server whose client lets everything through; with so many whole requests."""
    connection = by_hand.server(limits, first=WIDE)
    connection.receive(window_update(0, 2**31 - 1 - 65_535), 0.0)
    for call in range(calls):
        connection.receive(headers(2 * call + 1), 0.0)
    connection.take_output()
    return connection


def writes(connection: Connection) -> list[bytes]:
    """What is written until there is no more."""
    return list(iter(connection.take_output, b""))


def served(output: bytes) -> list[int]:
    """The stream of each DATA frame."""
    return [stream for kind, _, stream, _ in read_frames(output) if kind == DATA]


def test_however_wide_the_windows_a_write_carries_only_so_much_data() -> None:
    connection, size = wide(), 8 * 2**20
    connection.send_whole(1, RESPONSE, bytes(size), TRAILERS)
    # What a write carries is held besides, until it is joined.
    assert size <= connection.held_bytes <= size + ROOM_BYTES + TURN_BYTES_MAX
    written = writes(connection)
    assert max(map(len, written)) <= ROOM_BYTES + TURN_BYTES_MAX + HEADS_BYTES
    assert len(written) >= size // (ROOM_BYTES + TURN_BYTES_MAX)
    frames = [frame for output in written for frame in read_frames(output)]
    assert sum(len(payload) for kind, *_, payload in frames if kind == DATA) == size
    assert frames[-1][0] == HEADERS
    assert connection.held_bytes == connection.open_streams == 0


def test_a_stream_is_writable_once_all_of_it_was_taken() -> None:
    connection = wide()
    connection.send_data(1, bytes(2 * ROOM_BYTES))
    connection.take_output()
    assert connection.writable == []
    connection.take_output()
    assert connection.writable == [StreamWritable(1)]
    assert connection.waiting_bytes(1) == 0


def test_streams_take_turns_in_each_write() -> None:
    connection = wide(calls=3)
    for stream_id in (1, 3, 5):
        connection.send_data(stream_id, bytes(2 * 2**20))
    connection.take_output()
    streams = served(connection.take_output())
    assert abs(streams.count(3) - streams.count(5)) <= 1
    assert abs(streams.count(1) - streams.count(5)) <= 1


def test_a_stream_that_begins_later_does_not_go_before_those_that_wait() -> None:
    connection = wide(calls=2)
    connection.send_data(1, bytes(2 * 2**20))
    connection.take_output()
    connection.send_data(3, bytes(2 * 2**20))
    assert served(connection.take_output())[:2] == [1, 3]


def test_a_small_answer_leaves_with_the_next_write_whatever_waits() -> None:
    connection = wide(calls=2)
    connection.send_data(1, bytes(8 * 2**20))
    connection.take_output()
    connection.send_whole(3, RESPONSE, bytes(1_000), TRAILERS)
    assert 3 in served(connection.take_output())


def test_many_small_answers_take_turns_like_others() -> None:
    calls = 100
    connection = wide(calls=calls)
    for call in range(calls):
        connection.send_whole(2 * call + 1, RESPONSE, bytes(16_000), TRAILERS)
    written = writes(connection)
    assert max(map(len, written)) <= OUTPUT_BYTES + ROOM_BYTES + TURN_BYTES_MAX
    assert sum(len(served(output)) for output in written) == calls
    assert connection.open_streams == 0


def test_data_that_waits_for_the_socket_is_not_held_against_the_peer() -> None:
    connection = wide(limits=Limits(waiting_bytes=100_000))
    connection.send_data(1, bytes(2**20))
    assert connection.ended is None
    assert not connection.is_held_back(1)


def test_data_beyond_the_windows_is_held_against_the_peer_beside_what_waits_for_the_socket() -> (
    None
):
    connection = wide(calls=2, limits=Limits(waiting_bytes=100_000))
    connection.receive(by_hand.raw(by_hand.SETTINGS, 0, 0, setting(4, 400_000)), 0.0)
    connection.send_data(1, bytes(2**20))
    assert connection.ended is not None
    assert connection.ended.limit == "waiting_bytes"


@pytest.mark.parametrize("left", [0, 1, 100_000])
def test_an_answer_beyond_a_window_is_held_back(left: int) -> None:
    connection = by_hand.server(first=setting(4, left))
    connection.receive(window_update(0, 2**20) + headers(1), 0.0)
    connection.send_data(1, bytes(left + 1))
    assert connection.is_held_back(1)


def test_no_data_leaves_while_the_socket_is_behind() -> None:
    connection = wide(calls=2)
    connection.send_data(1, bytes(2**20))
    connection.take_output()
    connection.hold_back()
    connection.send_data(3, bytes(2**20))
    assert connection.take_output() == b""
    assert served(connection.take_output()), "it may have been told"
    connection.hold_back()
    connection.let_go()
    assert served(connection.take_output())


def test_what_a_socket_leaves_a_turn_never_counts_as_a_window_that_cuts_frames() -> None:
    """Room is counted in whole frames: no frame of ours is cut short by it."""
    connection = wide()
    connection.send_data(1, bytes(ROOM_BYTES - 1))
    connection.send_data(1, bytes(100_000))
    sizes = [len(payload) for *_, payload in read_frames(connection.take_output())]
    assert sizes[-1] == TURN_BYTES_MAX


class Socket(asyncio.Transport):
    """Takes what it is told to, and says when it is behind, as asyncio's do."""

    def __init__(self, high_bytes: int) -> None:
        super().__init__()
        self.link: Link | None = None
        self.buffered_bytes = self.buffered_most = 0
        self.write_most = 0
        self._high_bytes = high_bytes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.write_most = max(self.write_most, len(data))
        self.buffered_bytes += len(data)
        self.buffered_most = max(self.buffered_most, self.buffered_bytes)
        if self.link is not None and self.buffered_bytes > self._high_bytes:
            self.link.is_congested = True

    def take(self) -> int:
        taken, self.buffered_bytes = self.buffered_bytes, 0
        if self.link is not None and self.link.is_congested:
            self.link.resume()
        return taken

    def get_write_buffer_size(self) -> int:
        return self.buffered_bytes

    def is_closing(self) -> bool:
        return False


async def linked(connection: Connection, socket: Socket) -> Link:
    link = Link(connection, asyncio.get_running_loop(), lambda: None)
    link.transport, socket.link = socket, link
    return link


async def turns(count: int, each: Callable[[], object] = lambda: None) -> None:
    for _ in range(count):
        each()
        await asyncio.sleep(0)


async def test_a_socket_that_takes_nothing_is_given_no_more() -> None:
    connection, socket = wide(), Socket(high_bytes=64 * 2**10)
    link = await linked(connection, socket)
    connection.send_whole(1, RESPONSE, bytes(8 * 2**20), TRAILERS)
    link.flush()
    await turns(100)
    assert socket.buffered_most <= 2 * (ROOM_BYTES + TURN_BYTES_MAX)
    assert connection.open_streams == 1


async def test_a_socket_that_takes_all_is_given_the_rest_turn_by_turn() -> None:
    connection, socket = wide(), Socket(high_bytes=64 * 2**10)
    link = await linked(connection, socket)
    connection.send_whole(1, RESPONSE, bytes(8 * 2**20), TRAILERS)
    link.flush()
    await turns(100, socket.take)
    assert link.written_bytes > 8 * 2**20
    assert socket.write_most <= ROOM_BYTES + TURN_BYTES_MAX + HEADS_BYTES
    assert connection.open_streams == 0


def test_what_an_answer_is_a_part_of_is_held_until_its_last_byte_has_gone() -> None:
    connection, size = wide(), 8 * 2**20
    connection.send_data(1, memoryview(bytearray(size)))
    while connection.waiting_bytes(1) > 2 * ROOM_BYTES:
        connection.take_output()
        connection.receive(b"", 0.0)
    assert size <= connection.held_bytes <= size + 3 * ROOM_BYTES
    while connection.waiting_bytes(1):
        connection.take_output()
        connection.receive(b"", 0.0)
    connection.take_output()
    assert connection.held_bytes == 0


def test_what_a_stream_that_was_reset_is_a_part_of_is_held_no_more() -> None:
    connection = wide()
    connection.send_data(1, memoryview(bytearray(8 * 2**20)))
    connection.take_output()
    connection.reset(1)
    connection.take_output()
    assert connection.held_bytes == 0
