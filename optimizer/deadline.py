"""One limit of time for however many solves an answer takes."""

from collections.abc import Callable

Clock = Callable[[], float]  # seconds, never going back


class Deadline:
    """Counts down from when it is made, by a clock that a test can set."""

    def __init__(self, limit_s: float, clock: Clock) -> None:
        self._clock = clock
        self._end_s = clock() + limit_s

    def within(self, limit_s: float) -> "Deadline":
        """A deadline so long from now, but no later than this one."""
        return Deadline(min(limit_s, self.left_s()), self._clock)

    def left_s(self) -> float:
        """The seconds that are left; at 0 no further solve begins."""
        return max(self._end_s - self._clock(), 0.0)
