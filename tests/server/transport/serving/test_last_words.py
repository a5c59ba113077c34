"""What a connection that has ended still has to say is held, until its socket is gone."""

import asyncio
from typing import Any

from server.transport.grpc.methods import Methods
from server.transport.http2.frames import PREFACE
from server.transport.limit_log import LimitLog
from server.transport.serving.connection import ServerConnection
from server.transport.serving.holding import HELD_STEP_BYTES
from server.transport.serving.limits import ServerLimits
from server.transport.serving.tally import Tally
from tests.server.transport.http2.by_hand import SETTINGS, raw

GARBAGE = b"\xff" * 100


class Socket(asyncio.Transport):
    """Its peer takes nothing."""

    def __init__(self, buffered_bytes: int) -> None:
        super().__init__()
        self.is_aborted = False
        self._buffered_bytes = buffered_bytes

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._buffered_bytes += len(data)

    def get_write_buffer_size(self) -> int:
        return self._buffered_bytes

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return False

    def abort(self) -> None:
        self.is_aborted = True


def counting(in_all_max: int = 2**30) -> Tally:
    limits = ServerLimits(held_bytes_in_all_max=in_all_max)
    return Tally(limits, LimitLog(lambda after_s, call: None))


async def ended(tally: Tally, buffered_bytes: int) -> tuple[ServerConnection, Socket]:
    """A connection whose peer has broken HTTP/2, and takes nothing of what was said to it."""
    connection = ServerConnection(Methods(1_000), tally, set(), chance=0.5, on_ended=lambda: None)
    socket = Socket(buffered_bytes)
    connection.connection_made(socket)
    connection.data_received(PREFACE + raw(SETTINGS, 0, 0) + GARBAGE)
    return connection, socket


async def test_what_was_written_is_held_until_the_socket_is_gone() -> None:
    tally = counting()
    connection, _ = await ended(tally, 200_000)
    assert 200_000 <= tally.held.in_all <= 200_000 + 2 * HELD_STEP_BYTES
    connection.connection_lost(None)
    assert tally.held.in_all == 0


async def test_who_has_ended_and_holds_most_is_cut_off_when_others_need_the_room() -> None:
    tally = counting(in_all_max=500_000)
    _, first = await ended(tally, 200_000)
    assert not first.is_aborted
    await ended(tally, 100_000)
    await ended(tally, 190_000)
    assert first.is_aborted
