"""How accepted connections go from the supervisor to a worker, over a pair of Unix sockets.

One way each byte carries a descriptor. The other way a byte is one connection: taken, or ended.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import NamedTuple

_CONNECTION = b"c"
_TAKEN, _ENDED = b"t", b"e"
# Taken in one turn of a worker's loop, so that a burst does not hold up the calls that it serves.
TAKEN_AT_ONCE = 16
# Of what a worker tells: more than this waits for the next turn.
_READ_BYTES = 4_096


class Counts(NamedTuple):
    """What a worker said since it was last listened to."""

    taken: int
    ended: int


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a channel, neither of which blocks."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def give(channel: socket.socket, connection: socket.socket) -> bool:
    """Hands a connection over, of which the caller closes its own descriptor.

    False while the channel is full of what the worker has not taken. Raises ConnectionError if the
    worker is gone, another OSError if the kernel has no room, which says nothing about the worker.
    """
    try:
        socket.send_fds(channel, [_CONNECTION], [connection.fileno()])
    except BlockingIOError:
        return False
    return True


def read_counts(channel: socket.socket) -> Counts | None:
    """What the worker said; None if it is gone."""
    try:
        data = channel.recv(_READ_BYTES)
    except BlockingIOError:
        return Counts(0, 0)
    except ConnectionError:
        return None
    return Counts(data.count(_TAKEN), data.count(_ENDED)) if data else None


class Taker:
    """A worker's end: takes what it is handed, and tells what became of it."""

    def __init__(self, channel: socket.socket, take: Callable[[socket.socket], None]) -> None:
        """`take` is given each connection; `report_end` is to be called once for each."""
        channel.setblocking(False)
        self._channel = channel
        self._take = take
        self._untold = bytearray()
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Takes from now on."""
        self._loop.add_reader(self._channel, self._take_some)

    def report_end(self) -> None:
        """A connection that was taken is no more."""
        self._tell(_ENDED)

    def stop(self) -> None:
        """Takes what was handed over already, and nothing after it."""
        self._loop.remove_reader(self._channel)
        # From now on `give` fails, so that whoever gives turns to another worker.
        self._channel.shutdown(socket.SHUT_RD)
        while self._take_one():
            pass

    def close(self) -> None:
        """Tells no more."""
        self._loop.remove_reader(self._channel)
        self._loop.remove_writer(self._channel)
        self._channel.close()

    def _take_some(self) -> None:
        for _ in range(TAKEN_AT_ONCE):
            if not self._take_one():
                return

    def _take_one(self) -> bool:
        """False if there is none."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
        except (BlockingIOError, ConnectionError):
            return False
        if not data:  # the supervisor is gone, and its end is told elsewhere
            self._loop.remove_reader(self._channel)
            return False
        self._tell(_TAKEN)
        if descriptors:
            self._take(socket.socket(fileno=descriptors[0]))
        else:  # this process has no descriptor left: the kernel has closed the connection
            self._tell(_ENDED)
        return True

    def _tell(self, word: bytes) -> None:
        idle = not self._untold
        self._untold += word
        if idle and self._channel.fileno() >= 0:
            self._flush()

    def _flush(self) -> None:
        """Sends what there is room for, and the rest later: at most two bytes a connection."""
        try:
            sent = self._channel.send(self._untold)
        except BlockingIOError:
            sent = 0
        except OSError:  # nobody listens any more
            sent = len(self._untold)
        del self._untold[:sent]
        if self._untold:
            self._loop.add_writer(self._channel, self._flush)
        else:
            self._loop.remove_writer(self._channel)
