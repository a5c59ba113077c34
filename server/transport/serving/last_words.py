"""How a connection's socket is closed, once nothing more will be said on it."""

import asyncio

# A peer that is told why its connection ends may still be sending: closed at once, the kernel
# would take back what the peer has not read.
LINGER_S = 1.0


class LastWords:
    """Leaves the peer the time to read them; one that does not read is cut off."""

    __slots__ = ("_close_s", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, close_s: float) -> None:
        """`close_s` is for what is written and not taken."""
        self._loop = loop
        self._close_s = close_s
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, transport: asyncio.Transport) -> None:
        """They are written, and nothing more will be: the socket closes soon."""
        try:
            if transport.can_write_eof():
                transport.write_eof()
        except OSError:  # the peer is gone, and has answered our last words with a reset
            transport.abort()
            return
        self._timer = self._loop.call_later(LINGER_S, self._close, transport)

    def cancel(self) -> None:
        """The socket is gone."""
        if self._timer is not None:
            self._timer.cancel()

    def _close(self, transport: asyncio.Transport) -> None:
        """What is written is still sent, if the peer takes it."""
        transport.close()
        self._timer = self._loop.call_later(self._close_s, transport.abort)
