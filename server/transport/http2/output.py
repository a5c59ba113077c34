"""What can be written now: frames in their order, until somebody takes them.

Of data there is no more than a write should carry: what windows of 2^31 allow would be copied at a
stretch, and held once more by the socket.
"""

from server.transport.http2.errors import limit_reached
from server.transport.http2.limits import KIB, Limits

# Half of it makes an answer of 1 MiB cost a sixth more.
ROOM_BYTES = 512 * KIB


class Output:
    """Of one turn no more than the limits allow, and less of what the peer makes us send."""

    __slots__ = ("_control_bytes", "_limits", "_pieces", "room", "size")

    def __init__(self, limits: Limits) -> None:
        self.size = 0
        self.room = ROOM_BYTES  # for data that may be cut; a last frame may exceed it
        self._pieces: list[bytes | memoryview] = []
        self._control_bytes = 0  # of them: what the peer made us send
        self._limits = limits

    def write(self, octets: bytes | memoryview) -> None:
        """Frames, or a part of one; raises ConnectionFault when a turn makes too much."""
        self._pieces.append(octets)
        self.size += len(octets)
        if self.size > self._limits.output_bytes:
            raise limit_reached("too much output in one turn", "output_bytes")

    def data(self, head: bytes, payload: memoryview) -> None:
        """A frame of data that was cut to its room."""
        self.room -= len(payload)
        self._pieces.append(head)
        self.size += len(head)
        self.write(payload)

    def signal(self, frame: bytes) -> None:
        """A frame beside those of calls, now; raises ConnectionFault when a turn makes too many."""
        self.write(frame)
        self._control_bytes += len(frame)
        if self._control_bytes > self._limits.control_output_bytes:
            raise limit_reached("too many answers in one turn", "control_output_bytes")

    def end(self, frame: bytes) -> None:
        """The last frame, whatever it is."""
        self._pieces.append(frame)
        self.size += len(frame)

    def take(self) -> bytes:
        """All of it."""
        pieces, self._pieces = self._pieces, []
        self.size = self._control_bytes = 0
        self.room = ROOM_BYTES
        return pieces[0] if len(pieces) == 1 and type(pieces[0]) is bytes else b"".join(pieces)

    def hold_back(self) -> None:
        """There is no room until `let_go`, or until this is taken."""
        self.room = 0

    def let_go(self) -> None:
        """There is room as at first."""
        self.room = ROOM_BYTES
