"""Accepts connections, where a server listens by itself."""

import asyncio
import errno
import socket
from collections.abc import Callable

from server.transport.sockets.listen import Listener

# In one turn of the loop, so that calls are answered in a flood of connections.
ACCEPTED_AT_ONCE = 64
# How long a process that has no descriptor or memory left waits before it accepts again.
PAUSE_S = 0.5
# Of accept, when this process or the machine has no more of something.
SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Accepting:
    """From now on until it is closed."""

    def __init__(self, listener: Listener, take: Callable[[socket.socket], None]) -> None:
        self._listener = listener
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._go_on()

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener.socket)
        self._listener.close()

    def _go_on(self) -> None:
        self._loop.add_reader(self._listener.socket, self._accept_some)

    def _accept_some(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connection, _ = self._listener.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in SHORT:
                    self._rest()
                    return
                continue  # that caller has gone already
            connection.setblocking(False)
            self._take(connection)

    def _rest(self) -> None:
        """What waits does so in the kernel."""
        self._loop.remove_reader(self._listener.socket)
        self._pause = self._loop.call_later(PAUSE_S, self._go_on)
