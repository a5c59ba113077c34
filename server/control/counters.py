"""Merges what workers push, each request once, however often a worker or the accounts restart."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.control.boot import WORKER_SILENT_S, Boot, EndpointName, Increment
from server.routing.catalog import Cell
from server.routing.counters import Counts, Leg
from turnout.v1.control_pb2 import ListenerStats, PushStatsRequest

# How many workers are known, far more than one machine runs; of more, the one that was silent
# longest is forgotten.
WORKERS_MAX = 256
# How many starts of a worker are known: what a dead process has pushed is here within milliseconds,
# and three starts take seconds.
BOOTS_MAX = 3
# A worker that runs pushes within seconds of a start of the control plane. One that stood still for
# longer than this would be counted twice, and one that is gone is carried along for as long.
UNHEARD_S_MAX = 3_600.0
# An endpoint is out once workers with this part of the recent attempts at it have ejected it.
EJECTED_PART = 0.5


class Workers:
    """Merges by (worker, boot, sequence): what is repeated or late adds only what is new."""

    def __init__(self, *, epoch: int = 0) -> None:
        """`epoch` is this start of the control plane, as workers are told it."""
        self._epoch = epoch
        # When the accounts began; an epoch is a time of this machine's clock.
        self._since_epoch = epoch
        # By worker and boot; a worker's last is the one that pushed last.
        self._boots: dict[str, dict[str, Boot]] = {}
        # Totals of boots that are forgotten.
        self._refusals_before: Counter[str] = Counter()
        self._limits_before: Counter[str] = Counter()
        self._calls_before = 0
        # Until when workers were heard, and for how long of that since it was last asked.
        self._watched_until_s = float("-inf")
        self._watched_s = 0.0

    def merge(self, push: PushStatsRequest, *, now_s: float) -> list[Increment]:
        """Merges a push; returns what it adds."""
        boot = self._boot(push, now_s)
        boot.began |= push.began_epoch >= self._since_epoch
        self._watch(boot.heard_since_s(push, now_s=now_s), now_s)
        return boot.merge(push, epoch=self._epoch, now_s=now_s)

    @property
    def since_s(self) -> int:
        """When the accounts began, to the second as decisions are: what is older was not added."""
        return self._since_epoch // 1_000

    def take_watched_s(self) -> float:
        """How long requests were counted since this was asked last.

        While no worker is heard nobody knows whether any come.
        """
        watched_s, self._watched_s = self._watched_s, 0.0
        return watched_s

    def states(self) -> Iterator[Boot]:
        """The newest boot of every worker that was heard since the control plane began."""
        return (boot for boot in self._last() if boot.heard)

    def forget_unheard(self, *, now_s: float) -> None:
        """Forgets workers of before this start that have not pushed since."""
        for worker, boots in list(self._boots.items()):
            for name, boot in list(boots.items()):
                if not boot.heard and now_s - boot.pushed_s > UNHEARD_S_MAX:
                    del boots[name]
            if not boots:
                del self._boots[worker]

    def behind(self, config_number: int, *, now_s: float) -> list[str]:
        """Those that run, and have not said that this configuration is in force there."""
        return sorted(b.worker for b in self._heard(now_s) if b.config_number < config_number)

    def behind_keys(self, keys_number: int, *, now_s: float) -> list[str]:
        """Those that run, and have not said that these keys are in force there."""
        return sorted(b.worker for b in self._heard(now_s) if b.keys_number < keys_number)

    def ejected(self, *, now_s: float) -> set[EndpointName]:
        """Endpoints that workers of at least half of the recent attempts at them have ejected.

        One path that is bad is not taken for an endpoint that is.
        """
        seen: defaultdict[EndpointName, list[tuple[bool, float]]] = defaultdict(list)
        for boot in self._heard(now_s):
            for endpoint, stats in boot.endpoints.items():
                seen[endpoint].append((stats.ejected, boot.attempts(endpoint, now_s=now_s)))
        return {endpoint for endpoint, told in seen.items() if _is_out(told)}

    def ejected_until_s(self, *, now_s: float) -> Mapping[EndpointName, float]:
        """When the last worker lets each endpoint back that some worker has ejected."""
        until: dict[EndpointName, float] = {}
        for boot in self._heard(now_s):
            for endpoint, stats in boot.endpoints.items():
                if stats.ejected:
                    back_s = boot.pushed_s + stats.ejected_s
                    until[endpoint] = max(until.get(endpoint, back_s), back_s)
        return until

    def in_flight(self, *, now_s: float) -> Counter[EndpointName]:
        """Attempts that are out at each endpoint, by workers that still push."""
        totals: Counter[EndpointName] = Counter()
        for boot in self._heard(now_s):
            totals.update({e: stats.in_flight for e, stats in boot.endpoints.items()})
        return totals

    def refusals(self) -> Counter[str]:
        """Requests answered with an error, by reason, of all boots."""
        totals = Counter(self._refusals_before)
        for boot in self._all():
            totals.update(boot.refusals)
        return totals

    def limits_reached(self) -> Counter[str]:
        """How often each limit of the transport was reached, of all boots."""
        totals = Counter(self._limits_before)
        for boot in self._all():
            totals.update(boot.limits_reached)
        return totals

    def calls(self) -> int:
        """How many calls callers began, at all boots."""
        return self._calls_before + sum(map(_calls, self._all()))

    def connections(self, *, now_s: float) -> int | None:
        """How many connections are open at workers that still push; None if no worker says."""
        said = [boot.listener for boot in self._heard(now_s) if boot.listener is not None]
        return sum(listener.connections for listener in said) if said else None

    def to_plain(self) -> dict[str, Any]:
        """What has to outlive the process, with the money it was counted as.

        Taken in a moment, for later.
        """
        boots = list(self._all())
        return {
            "since_epoch": self._since_epoch,
            "boots": [_boot_to_plain(boot) for boot in boots],
            "told": _Told([dict(boot.told) for boot in boots]),
        }

    @classmethod
    def from_plain(cls, plain: Any, *, epoch: int, now_s: float) -> "Workers":
        """Goes on where `to_plain` was: of what a worker tells again, only what is new is added.

        Raises ValueError, TypeError, LookupError or AttributeError where it is something else.
        """
        found = cls(epoch=epoch)
        found._since_epoch = int(plain["since_epoch"])
        told: defaultdict[int, dict[Leg, Counts]] = defaultdict(dict)
        for index, *cell, first, model, counts in plain["told"]:
            told[index][Leg(Cell(*cell), first, model)] = Counts.from_plain(counts)
        for index, one in list(enumerate(plain["boots"]))[-WORKERS_MAX * BOOTS_MAX :]:
            boot = _boot_from_plain(one, told[index], now_s)
            found._boots.setdefault(boot.worker, {})[boot.name] = boot
        return found

    def _last(self) -> Iterator[Boot]:
        return (next(reversed(boots.values())) for boots in self._boots.values())

    def _all(self) -> Iterator[Boot]:
        return (boot for boots in self._boots.values() for boot in boots.values())

    def _heard(self, now_s: float) -> Iterator[Boot]:
        """The boots that seem to be running."""
        return (boot for boot in self.states() if now_s - boot.pushed_s <= WORKER_SILENT_S)

    def _watch(self, since_s: float | None, now_s: float) -> None:
        if since_s is not None and now_s > self._watched_until_s:
            self._watched_s += now_s - max(since_s, self._watched_until_s)
            self._watched_until_s = now_s

    def _boot(self, push: PushStatsRequest, now_s: float) -> Boot:
        boots = self._boots.get(push.worker)
        if boots is None:
            boots = self._boots_of_another(push.worker)
        boot = boots.pop(push.boot, None)
        if boot is None:
            if len(boots) >= BOOTS_MAX:
                self._forget(boots, next(iter(boots)))
            # If this is its first push, it has counted for a moment only.
            first = push.sequence == 1
            boot = Boot(push.worker, push.boot, now_s, began=first, complete=first)
        boots[push.boot] = boot
        return boot

    def _boots_of_another(self, worker: str) -> dict[str, Boot]:
        if len(self._boots) >= WORKERS_MAX:
            silent = min(self._last(), key=lambda boot: boot.pushed_s).worker
            for name in list(self._boots[silent]):
                self._forget(self._boots[silent], name)
            del self._boots[silent]
        boots = self._boots[worker] = {}
        return boots

    def _forget(self, boots: dict[str, Boot], name: str) -> None:
        boot = boots.pop(name)
        self._refusals_before.update(boot.refusals)
        self._limits_before.update(boot.limits_reached)
        self._calls_before += _calls(boot)


@dataclass(frozen=True, slots=True)
class _Told:
    """What boots had told, each with its place among them; made plain as it is read."""

    boots: Sequence[Mapping[Leg, Counts]]

    def __iter__(self) -> Iterator[list[Any]]:
        for index, told in enumerate(self.boots):
            for leg, counts in told.items():
                yield [index, *leg.cell, leg.first, leg.model, counts.to_plain()]


def _is_out(told: Sequence[tuple[bool, float]]) -> bool:
    """Whether enough have ejected it; where nobody has asked it of late, each worker counts."""
    asked = sum(attempts for _, attempts in told)
    against = sum(attempts if asked else 1.0 for ejected, attempts in told if ejected)
    return against > 0 and against >= EJECTED_PART * (asked or len(told))


def _calls(boot: Boot) -> int:
    listener: ListenerStats | None = boot.listener
    return 0 if listener is None else listener.calls


def _boot_to_plain(boot: Boot) -> list[Any]:
    # One that had told all has nothing left from before these accounts.
    return [boot.worker, boot.name, boot.sequence, boot.began or boot.told_all]


def _boot_from_plain(plain: Any, told: Mapping[Leg, Counts], now_s: float) -> Boot:
    worker, name, sequence, began = plain
    return Boot(
        worker=str(worker),
        name=str(name),
        pushed_s=now_s,
        sequence=int(sequence),
        began=bool(began),
        kept=dict(told),
        told=dict(told),
    )
