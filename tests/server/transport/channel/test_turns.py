"""An endpoint that always has more to say, on a connection by hand."""

import asyncio
from collections.abc import Callable
from itertools import count

from server.transport.channel.call import ClientCall
from server.transport.channel.connection import ClientConnection
from server.transport.channel.limits import ChannelLimits
from server.transport.loop.turns import TURN_S
from tests.server.transport.http2.by_hand import PING, SETTINGS, raw

UNKNOWN = raw(0xEE, 0, 0, bytes(100))  # a frame that is ignored
# More pings than may come, in several stretches of work.
PINGS = raw(PING, 0, 0, b"a ping..") * 300


class Pool:
    """Stands for a pool that has no calls."""

    def __init__(self) -> None:
        self.limits: list[str] = []

    def use_room(self) -> None:
        """There is nothing to begin."""

    def begin(self, call: ClientCall) -> None:
        raise AssertionError(f"no call was made, so {call} was not refused")

    def forget(self, _connection: object) -> None:
        """It is the only one."""

    drop = forget

    def count_limit(self, limit: str) -> None:
        self.limits.append(limit)


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.is_paused = False
        self._closes = False

    def write(self, data: object) -> None:
        """Takes all."""

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self._closes = True

    abort = close

    def is_closing(self) -> bool:
        return self._closes


def connected(clock: Callable[[], float]) -> tuple[ClientConnection, Pool, Wire]:
    pool, wire = Pool(), Wire()
    connection = ClientConnection(pool, ChannelLimits(), clock)
    connection.connection_made(wire)
    return connection, pool, wire


async def test_what_takes_more_than_a_turn_goes_on_in_the_next_and_nothing_is_read_meanwhile() -> (
    None
):
    clock = count(0.0, TURN_S)
    connection, pool, wire = connected(lambda: next(clock))
    connection.data_received(raw(SETTINGS, 0, 0) + PINGS)
    assert (pool.limits, wire.is_paused) == ([], True)
    for _ in range(8):
        await asyncio.sleep(0)
    assert pool.limits == ["pings"]


async def test_when_all_is_handled_more_is_read() -> None:
    clock = count(0.0, TURN_S)
    connection, pool, wire = connected(lambda: next(clock))
    connection.data_received(raw(SETTINGS, 0, 0) + UNKNOWN * 200)
    assert wire.is_paused
    for _ in range(12):
        await asyncio.sleep(0)
    assert (pool.limits, wire.is_paused) == ([], False)


async def test_what_an_endpoint_says_last_is_handled_though_its_turn_has_not_come() -> None:
    clock = count(0.0, TURN_S)
    connection, pool, _ = connected(lambda: next(clock))
    connection.data_received(raw(SETTINGS, 0, 0) + PINGS)
    connection.connection_lost(None)
    assert pool.limits == ["pings"]


async def test_what_is_read_while_others_wait_comes_behind_it() -> None:
    clock = count(0.0, TURN_S)
    connection, pool, wire = connected(lambda: next(clock))
    connection.data_received(raw(SETTINGS, 0, 0) + UNKNOWN * 200)
    connection.data_received(PINGS)
    assert pool.limits == []
    for _ in range(12):
        await asyncio.sleep(0)
    assert pool.limits == ["pings"]
    assert wire.is_closing()
