"""How much the holder of a key may ask of one worker: its part of what the key may ask in all.

Parts are rounded up, for a key may be held by one connection, which is at one worker.
"""

from math import ceil

from server.routing.errors import KeyBusy, KeyRate

_MINUTE_S = 60.0


class Allowance:
    """Requests a minute, as a bucket of tokens, and calls at one time. No I/O, no clock."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._requests_max: int | None = None  # at once
        self._per_s = 0.0
        self._concurrent_max: int | None = None
        self._left = 0.0  # requests, at the moment below
        self._left_s = float("-inf")  # a bucket that was never looked at is full

    def tune(
        self, requests_per_minute: int | None, concurrent: int | None, *, workers: int
    ) -> None:
        """Sets the limits of one of so many workers; what was asked by now still counts."""
        if requests_per_minute is None:
            self._requests_max = None
        else:
            self._requests_max = ceil(requests_per_minute / workers)
            self._per_s = requests_per_minute / workers / _MINUTE_S
        self._concurrent_max = None if concurrent is None else ceil(concurrent / workers)

    def spend(self, requests: int, *, now_s: float) -> None:
        """Counts so many requests, all or none; raises KeyRate."""
        most = self._requests_max
        if most is None:
            return
        if requests > most:
            raise KeyRate(
                f"the key may ask for {most:,} requests at once, not for {requests:,}: ask in parts"
            )
        left = min(most, self._left + max(now_s - self._left_s, 0.0) * self._per_s)
        self._left, self._left_s = left, now_s
        if left < requests:
            raise KeyRate(
                "the key has no requests left for the moment: ask more slowly",
                retry_after_s=(requests - left) / self._per_s,
            )
        self._left = left - requests

    def enter(self) -> None:
        """Counts a call that begins; raises KeyBusy."""
        most = self._concurrent_max
        if most is not None and self.in_flight >= most:
            raise KeyBusy("the key has all the calls open that it may have: wait until one ends")
        self.in_flight += 1

    def leave(self) -> None:
        """Counts a call that has ended."""
        self.in_flight -= 1
