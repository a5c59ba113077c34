"""What the connections of one server count together."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from time import perf_counter

from server.transport.held_bytes import HeldBytes
from server.transport.http2.streams import StreamsInAll
from server.transport.limit_log import LimitLog
from server.transport.loop.turns import Turns
from server.transport.places import Places
from server.transport.serving.limits import ServerLimits

TooLarge = Callable[[str], Iterable[tuple[str, str | bytes]]]


def bare(_message: str) -> Iterable[tuple[str, str | bytes]]:
    """The status alone."""
    return ()


class Tally:
    """Of connections and calls; and of every limit, how often it was reached."""

    def __init__(
        self,
        limits: ServerLimits,
        log: LimitLog,
        clock: Callable[[], float] = perf_counter,
        too_large: TooLarge = bare,
    ) -> None:
        """`clock` measures turns; `too_large` says more of a message that is refused for its size.

        It is given the words of the refusal, and gives metadata that stand beside its status.
        """
        self.too_large = too_large
        self.limits = limits
        self.log = log
        self.limits_reached: Counter[str] = Counter()
        self.held = HeldBytes(
            bytes_max=limits.held_bytes_max, in_all_max=limits.held_bytes_in_all_max
        )
        self.turns = Turns(clock)
        self.streams = StreamsInAll(limits.streams_in_all_max)
        self.places = Places(
            in_all_max=limits.connections_max, of_address_max=limits.connections_per_address_max
        )
        self.is_stopping = False
        self.calls = 0  # ever begun
        self.tasks: set[asyncio.Task[None]] = set()  # of calls, and of those that have just ended

    def count_limit(self, limit: str, peer: str) -> None:
        self.limits_reached[limit] += 1
        self.log.log_limit(limit, peer=peer)

    def admit(self, address: str) -> str:
        """Gives a connection its place, or names the limit, now counted as reached."""
        if limit := self.places.take(address):
            self.count_limit(limit, address)
        return limit

    def keep(self, task: asyncio.Task[None]) -> None:
        """Holds a task until it ends, as nobody else does."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
