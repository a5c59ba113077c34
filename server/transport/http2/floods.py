"""Frames that cost us work and the peer nothing: so many at once, so many a second, no more."""

from collections.abc import Mapping

from server.transport.http2.errors import limit_reached
from server.transport.http2.limits import Limits, Rate

# A DATA frame that a window cut below this carries less than it costs.
TINY_FRAME_BYTES = 256
# What a DATA frame of ours that is not tiny earns the peer: an update for either level, a probe,
# a short end of a window.
_EARNED: Mapping[str, int] = {"window_updates": 2, "pings": 1, "tiny_frames": 1}


class Floods:
    """Counts what the peer may do only so often, by the names of Limits."""

    def __init__(self, limits: Limits) -> None:
        self.now_s = 0.0  # of the read that is being looked at
        self.data_frames = 0  # sent, not tiny
        self._limits = limits
        self._allowances: dict[str, Allowance] = {}  # made when needed: most connections need none

    def count(self, name: str) -> None:
        """One more; raises ConnectionFault when it is one too many."""
        allowance = self._allowances.get(name)
        if allowance is None:
            rate: Rate = getattr(self._limits, name)
            allowance = Allowance(rate, self.now_s, _EARNED.get(name, 0))
            self._allowances[name] = allowance
        if not allowance.take(self.now_s, self.data_frames):
            words = name.replace("_", " ")
            raise limit_reached(f"too many {words}", name)


class Allowance:
    """A bucket that fills with time, and with what was earned."""

    __slots__ = ("_at_s", "_each", "_earned", "_left", "_rate")

    def __init__(self, rate: Rate, now_s: float, each: int) -> None:
        self._rate = rate
        self._left = float(rate.burst)
        self._at_s = now_s
        self._each = each  # for what is earned
        self._earned = 0  # so far

    def take(self, now_s: float, earned: int) -> bool:
        """Whether one was left; `earned` is a count since the beginning."""
        gained = max(now_s - self._at_s, 0.0) * self._rate.per_s
        gained += (earned - self._earned) * self._each
        self._at_s, self._earned = now_s, earned
        self._left = min(self._left + gained, float(self._rate.burst))
        if self._left < 1:
            return False
        self._left -= 1
        return True
