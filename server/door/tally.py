"""What the connections of one door count together."""

import asyncio
from collections import Counter

from server.door.limits import DoorLimits
from server.transport.held_bytes import HeldBytes
from server.transport.limit_log import LimitLog
from server.transport.limit_names import DOOR_PREFIX


class DoorTally:
    """Of connections and requests; and of every limit, how often it was reached."""

    def __init__(self, limits: DoorLimits, held: HeldBytes) -> None:
        """`held` is the worker's: what callers of gRPC hold counts in it too."""
        self.limits = limits
        self.held = held
        self.limits_reached: Counter[str] = Counter()
        self.connections = 0
        self.requests = 0  # ever begun
        self.is_stopping = False
        self.log = LimitLog(asyncio.get_running_loop().call_later)
        self._by_address: Counter[str] = Counter()

    def count_limit(self, limit: str, peer: str) -> None:
        """By its name in `limit_names.DOOR_LIMITS`."""
        self.limits_reached[limit] += 1
        self.log.log_limit(DOOR_PREFIX + limit, peer=peer)

    def admit(self, address: str) -> str:
        """Counts a connection in, or names the limit beyond which it is.

        A peer on a Unix socket has no address.
        """
        limit = self._full(address)
        if not limit:
            self.connections += 1
            self._by_address[address] += 1
        return limit

    def leave(self, address: str) -> None:
        """Counts a connection out that was admitted."""
        self.connections -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def _full(self, address: str) -> str:
        if self.connections >= self.limits.connections_max:
            return "connections"
        if address and self._by_address[address] >= self.limits.connections_per_address_max:
            return "connections_per_address"
        return ""
