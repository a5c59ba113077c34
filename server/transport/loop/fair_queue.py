"""Who goes next, so that each gets the same share of what is given out.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): each has a mark up to which it has
had its share, and whoever's mark is lowest goes next. The mark of one who was away moves up to the
present: nothing is saved up, and who asks for little never waits behind more than one turn of each.
"""

from heapq import heappop, heappush
from typing import Generic, TypeVar

_Entry = TypeVar("_Entry")


class Share:
    """What one of those who take turns has had so far."""

    __slots__ = ("mark_s",)

    def __init__(self) -> None:
        self.mark_s = 0.0


class FairQueue(Generic[_Entry]):
    """Those who wait. Is told how long each took; reads no clock."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Share, _Entry]] = []
        self._present_s = 0.0  # the mark of the one who went last
        self._entered = 0  # of equal marks, who came first goes first

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, share: Share, entry: _Entry) -> None:
        """Waits from now on; one share waits once at most."""
        share.mark_s = max(share.mark_s, self._present_s)
        self._entered += 1
        heappush(self._waiting, (share.mark_s, self._entered, share, entry))

    def pass_by(self, share: Share, took_s: float) -> None:
        """Has gone at once, as nobody waits; it counts like a turn."""
        if share.mark_s > self._present_s:
            self._present_s = share.mark_s
        share.mark_s = self._present_s + took_s

    def take(self) -> _Entry:
        """The next, which waits no more; raises IndexError where none waits."""
        self._present_s, _, _, entry = heappop(self._waiting)
        return entry
