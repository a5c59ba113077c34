"""What a connection says to its peer: all of one turn of the loop leaves in one write.

Data that is more than one write should carry leaves in later turns, as the transport takes it.
"""

import asyncio
import fcntl
import struct
import termios
from collections.abc import Callable, Mapping, Sequence

from server.transport.http2.connection import Connection
from server.transport.http2.output import ROOM_BYTES
from server.transport.loop.turns import Flow

# A handler that writes without end gives way to others after this much.
TURN_BYTES = 64 * 2**10
# What a small message costs beside its bytes, in bytes that cost as much.
_MESSAGE_BYTES = 2**10


class Link:
    """The writing side: holds writers back while the peer reads more slowly than they write."""

    __slots__ = (
        "_flush_is_due", "_on_flushed", "_turn_bytes", "_writable", "connection", "flow",
        "is_congested", "is_reading", "loop", "peer", "peer_certificate", "transport",
        "unread_bytes", "written_bytes",
    )  # fmt: skip

    def __init__(
        self,
        connection: Connection,
        loop: asyncio.AbstractEventLoop,
        on_flushed: Callable[[], None],
    ) -> None:
        self.connection = connection
        self.loop = loop
        self.peer = ""  # as gRPC writes it
        self.peer_certificate: Mapping[str, Sequence[bytes]] = {}  # its names, by gRPC's words
        self.flow: Flow  # of a server's connection, once it is made: its place among others
        self.transport: asyncio.Transport | None = (
            None  # until it is connected, and once it is lost
        )
        self.is_congested = False  # by the transport's word
        self.is_reading = False  # whoever reads flushes at the end
        self.written_bytes = 0
        self.unread_bytes = 0
        self._on_flushed = on_flushed
        self._flush_is_due = False
        self._turn_bytes = 0
        self._writable: dict[int, asyncio.Event] = {}

    def flush(self) -> None:
        self._flush_is_due = False
        self._turn_bytes = 0
        output = self.connection.take_output()
        # uvloop's transports raise once they are closed, which is told a turn later.
        if output and self.transport is not None and not self.transport.is_closing():
            self.written_bytes += len(output)
            self.transport.write(output)
        if self.is_congested:
            self.connection.hold_back()
        elif len(output) >= ROOM_BYTES:  # the rest has a turn of its own: it holds up nobody
            self.flush_soon()
        self._on_flushed()

    def resume(self) -> None:
        """The transport takes more."""
        self.is_congested = False
        self.connection.let_go()
        self.flush_soon()

    def flush_soon(self) -> None:
        """Once for all that is said in this turn."""
        if not (self._flush_is_due or self.is_reading):
            self._flush_is_due = True
            self.loop.call_soon(self.flush)

    async def drained(self, stream_id: int, message_bytes: int) -> None:
        """Returns when the next message of a stream may be written, after one of this size."""
        self._turn_bytes += message_bytes + _MESSAGE_BYTES
        if self._turn_bytes >= TURN_BYTES:
            self.flush()
            await asyncio.sleep(0)
        else:
            self.flush_soon()
        while self.is_congested or self.connection.waiting_bytes(stream_id):
            await self._writable.setdefault(stream_id, asyncio.Event()).wait()

    def is_held_back(self, stream_id: int) -> bool:
        """Whether the peer keeps data of this stream waiting."""
        waits = self.is_congested and self.connection.waiting_bytes(stream_id) > 0
        return waits or self.connection.is_held_back(stream_id)

    def count_unread(self, more_bytes: int) -> None:
        """So much more, or less, of what came is not complete, not read or not answered."""
        self.unread_bytes += more_bytes

    def wake(self, stream_id: int) -> None:
        """The stream can be written, or has ended."""
        if self._writable and (event := self._writable.pop(stream_id, None)) is not None:
            event.set()

    def wake_all(self) -> None:
        for stream_id in list(self._writable):
            self.wake(stream_id)

    @property
    def arrived_bytes(self) -> int:
        """Of those written: that the peer's machine has taken, as far as ours knows."""
        return self.written_bytes - self.buffered_bytes - _kernel_bytes(self.transport)

    @property
    def buffered_bytes(self) -> int:
        """That the kernel has not taken."""
        return 0 if self.transport is None else self.transport.get_write_buffer_size()

    @property
    def held_bytes(self) -> int:
        """For a peer who writes or reads slowly."""
        return self.unread_bytes + self.connection.held_bytes + self.buffered_bytes


def _kernel_bytes(transport: asyncio.Transport | None) -> int:
    """Of a socket, that its peer has not acknowledged; none where the system does not tell."""
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None:
        return 0
    try:
        (kernel_bytes,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))
    except OSError:
        return 0
    return int(kernel_bytes)
