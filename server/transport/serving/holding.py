"""What a connection holds for its peer, as the ledger of its server knows it."""

import math

from server.transport.held_bytes import GiveWay, HeldBytes

# What a connection takes that holds nothing, and so the step in which held bytes are counted.
HELD_STEP_BYTES = 16 * 2**10
# What TLS takes beside: the loop and OpenSSL hold as much as the largest burst, each.
TLS_BYTES = 48 * 2**10
TLS_COPIES = 2
# What an open stream takes with its call, beside what it holds.
STREAM_BYTES = 4 * 2**10


class Holding:
    """Counts in steps, rounded up, so that most reads change nothing."""

    __slots__ = ("_counted_bytes", "_give_way", "_ledger", "_own_bytes", "burst_bytes")

    def __init__(self, ledger: HeldBytes, give_way: GiveWay) -> None:
        self._ledger = ledger
        self._give_way = give_way
        self._own_bytes = 0  # that TLS takes
        self._counted_bytes = 0
        self.burst_bytes = math.inf  # the largest that TLS has brought

    def has_tls(self) -> None:
        """From now on the largest burst counts."""
        self._own_bytes, self.burst_bytes = TLS_BYTES, 0

    def grow(self, burst_bytes: int) -> None:
        """TLS has brought more at once than ever."""
        self.burst_bytes = burst_bytes
        self._own_bytes = TLS_BYTES + TLS_COPIES * burst_bytes

    def count(self, held_bytes: int, streams: int) -> None:
        """So much is held, beside what so many streams and the connection itself take."""
        held_bytes += self._own_bytes + streams * STREAM_BYTES
        in_steps = held_bytes - held_bytes % HELD_STEP_BYTES + HELD_STEP_BYTES
        if in_steps != self._counted_bytes:
            self._counted_bytes = in_steps
            self._ledger.hold(self._give_way, in_steps)

    def release(self) -> None:
        """Nothing is held any more."""
        self._counted_bytes = 0
        self._ledger.hold(self._give_way, 0)
