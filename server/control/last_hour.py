"""What happened in the last hour, to the minute."""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from optimizer.estimate.decayed import tupled
from server.routing.counters import Counts

_MINUTE_S = 60
_MINUTES = 60
# Where counting began only a moment ago, averages are taken over this time.
_AVERAGED_S_MIN = 60.0
# The key under which the minute is kept in which counting began.
_BEGAN = ("began", "")


class Happened(NamedTuple):
    """What happened over some time, in sums."""

    decided: int = 0
    completed: int = 0
    slo_missed: int = 0
    cost_nano_usd: int = 0
    shed: int = 0
    unreported: int = 0
    unreported_nano_usd: int = 0
    estimated_nano_usd: int = 0


class LastHour:
    """Keeps sums by key. Keys come from the configuration, so there are never many."""

    def __init__(self) -> None:
        self._minutes: dict[Hashable, deque[tuple[int, Happened]]] = {}

    def add(self, key: Hashable, counts: Counts | Happened, *, now_s: float) -> None:
        """Adds to the minute of this time, or to the nearest that was begun before it."""
        minutes = self._minutes.setdefault(key, deque(maxlen=_MINUTES))
        minute = int(now_s // _MINUTE_S)
        if not minutes or minute > minutes[-1][0]:
            minutes.append((minute, _plus(Happened(), counts)))
        elif minute > minutes[-1][0] - _MINUTES:  # older ones are in no hour that anybody asks for
            place = _place(minutes, minute)
            minutes[place] = minutes[place][0], _plus(minutes[place][1], counts)

    def begin(self, *, now_s: float) -> None:
        """Counting begins: nothing is known of the time before."""
        self.add(_BEGAN, Happened(), now_s=now_s)

    def rename(self, names: Mapping[Hashable, Hashable]) -> None:
        """What was counted by one key goes on by another, beside what that has."""
        taken = [(new, self._minutes.pop(old, ())) for old, new in names.items()]
        for new, minutes in taken:
            for minute, sums in sorted((*self._minutes.pop(new, ()), *minutes)):
                self.add(new, sums, now_s=minute * _MINUTE_S)

    def averaged_s(self, *, now_s: float) -> float:
        """The time over which sums are spread: an hour, or less where counting began in it."""
        first = int(now_s // _MINUTE_S) - _MINUTES + 1
        began = self._minutes.get(_BEGAN, ())
        since_s = max([first, *(minute for minute, _ in began)]) * _MINUTE_S
        return max(now_s - since_s, _AVERAGED_S_MIN)

    def copy(self) -> "LastHour":
        """As it is now, for another thread."""
        copied = LastHour()
        copied._minutes = {key: minutes.copy() for key, minutes in self._minutes.items()}
        return copied

    def of(self, key: Hashable, *, now_s: float) -> Happened:
        """The sums of one key; what is older than an hour is left out."""
        first = int(now_s // _MINUTE_S) - _MINUTES + 1
        kept = [sums for minute, sums in self._minutes.get(key, ()) if minute >= first]
        # A seventh of what adding one by one takes: each window asks for every class and payer.
        return Happened(*map(sum, zip(*kept, strict=True)))

    def forget_older(self, *, now_s: float) -> None:
        """Forgets keys with nothing in the last hour: they may be old names."""
        first = int(now_s // _MINUTE_S) - _MINUTES + 1
        self._minutes = {key: kept for key, kept in self._minutes.items() if kept[-1][0] >= first}

    def to_plain(self) -> Iterable[Any]:
        """Every key with its minutes, in what JSON has; taken in a moment, for later."""
        return _Rows(self.copy()._minutes)

    @classmethod
    def from_plain(cls, plain: Iterable[Any], *, now_s: float) -> Self:
        """Takes up what `to_plain` wrote; raises ValueError, TypeError or LookupError."""
        found, this = cls(), int(now_s // _MINUTE_S)
        for key, minutes in plain:
            # By a clock that was set back some would be in the future, and stay for good.
            known = ((int(minute), Happened(*map(int, sums))) for minute, *sums in minutes)
            kept = deque(((minute, sums) for minute, sums in known if minute <= this), _MINUTES)
            if kept:
                found._minutes[tupled(key)] = kept
        return found


@dataclass(frozen=True, slots=True)
class _Rows:
    """Minutes as they were at one moment, each key's made plain when it is read."""

    minutes: Mapping[Hashable, Iterable[tuple[int, Happened]]]

    def __iter__(self) -> Iterator[Any]:
        for key, minutes in self.minutes.items():
            yield [key, [[minute, *sums] for minute, sums in minutes]]


def _place(minutes: Sequence[tuple[int, Happened]], minute: int) -> int:
    """The place of the last minute that is not later; the first if all are later."""
    for place in range(len(minutes) - 1, 0, -1):
        if minutes[place][0] <= minute:
            return place
    return 0


def _plus(had: Happened, counts: Counts | Happened) -> Happened:
    return Happened(
        decided=had.decided + counts.decided,
        completed=had.completed + counts.completed,
        slo_missed=had.slo_missed + counts.slo_missed,
        cost_nano_usd=had.cost_nano_usd + counts.cost_nano_usd,
        shed=had.shed + counts.shed,
        unreported=had.unreported + counts.unreported,
        unreported_nano_usd=had.unreported_nano_usd + counts.unreported_nano_usd,
        estimated_nano_usd=had.estimated_nano_usd + counts.estimated_nano_usd,
    )
