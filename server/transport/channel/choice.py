"""Where a call goes, and what a pool does without room: decided from what is known at a moment."""

from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple, Protocol, TypeVar

from server.transport.channel.limits import ChannelLimits


class Room(Protocol):
    """What a connection has left."""

    @property
    def streams_free(self) -> int: ...
    @property
    def bytes_free(self) -> int: ...


Place = TypeVar("Place", bound=Room)


class Standing(NamedTuple):
    """How a pool stands at a moment."""

    taking: int = 0  # connections that take calls
    open: int = 0  # and with those that only end theirs
    waiting: int = 0  # calls
    is_connecting: bool = False
    is_backing_off: bool = False  # after an attempt to connect that failed


class WithoutRoom(Enum):
    """What becomes of a call that no connection has room for."""

    WAIT = auto()
    UNREACHABLE = auto()  # it fails
    BEHIND = auto()  # it fails: too many wait already


class Growth(Enum):
    """What a pool does about calls that wait."""

    NOTHING = auto()
    CONNECT = auto()
    GIVE_UP = auto()  # they fail


def choose(connections: Iterable[Place], large_bytes: int) -> Place | None:
    """The first with a stream, and with room for a request that is large."""
    for connection in connections:
        if connection.streams_free > 0 and (
            not large_bytes or large_bytes <= connection.bytes_free
        ):
            return connection
    return None


def without_room(pool: Standing, limits: ChannelLimits) -> WithoutRoom:
    """Nobody waits for what is known to be out of reach."""
    if not pool.taking and pool.is_backing_off:
        return WithoutRoom.UNREACHABLE
    return WithoutRoom.WAIT if pool.waiting < limits.waiting_calls else WithoutRoom.BEHIND


def growth(pool: Standing, limits: ChannelLimits) -> Growth:
    """One attempt to connect at a time; until the next is due, whoever has no other hope fails."""
    if not pool.waiting or pool.is_connecting or pool.open >= limits.connections:
        return Growth.NOTHING
    if not pool.is_backing_off:
        return Growth.CONNECT
    return Growth.NOTHING if pool.taking else Growth.GIVE_UP
