"""What the connections of one door count together."""

import asyncio
from collections import Counter

from server.door.limits import DoorLimits
from server.transport.held_bytes import HeldBytes
from server.transport.limit_log import LimitLog
from server.transport.limit_names import DOOR_PREFIX
from server.transport.places import Places


class DoorTally:
    """Of connections and requests; and of every limit, how often it was reached."""

    def __init__(self, limits: DoorLimits, held: HeldBytes) -> None:
        """`held` is the worker's: what callers of gRPC hold counts in it too."""
        self.limits = limits
        self.held = held
        self.limits_reached: Counter[str] = Counter()
        self.places = Places(
            in_all_max=limits.connections_max, of_address_max=limits.connections_per_address_max
        )
        self.requests = 0  # ever begun
        self.is_stopping = False
        self.log = LimitLog(asyncio.get_running_loop().call_later)

    def count_limit(self, limit: str, peer: str) -> None:
        """By its name in `limit_names.DOOR_LIMITS`."""
        self.limits_reached[limit] += 1
        self.log.log_limit(DOOR_PREFIX + limit, peer=peer)
