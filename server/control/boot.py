"""What one start of a worker has pushed: finds what is new in cumulative counters."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from server.control.cell_messages import counts_of, leg_of
from server.routing.counters import OVERFLOW, Counts, Leg
from turnout.v1.control_pb2 import CellStats, EndpointStats, ListenerStats, PushStatsRequest

# When a worker was silent for longer, what it counted meanwhile says nothing of now, and what it
# said of ejected endpoints no longer holds.
WORKER_SILENT_S = 10.0
# How long a worker has counted by its first push: about as long as between two pushes.
FIRST_PUSH_S = 0.25
# After this time attempts at an endpoint weigh half as much: a few windows.
_ATTEMPTS_HALF_LIFE_S = 20.0

EndpointName = tuple[str, str]  # model, address


class Increment(NamedTuple):
    """What one push adds to one leg."""

    leg: Leg
    counts: Counts
    recent: bool  # False: counted over some time, so it says nothing of now
    new: bool = True  # False: counted before these accounts began, so it is none of their money


@dataclass(slots=True)
class Boot:
    """One start of a worker, by its newest push."""

    worker: str
    name: str
    pushed_s: float
    sequence: int = 0
    # Whether it began while these accounts were kept, so that all that it ever counted is in them.
    began: bool = False
    # False while it is only known from a file, and has not pushed to this control plane.
    heard: bool = False
    # Whether it has pushed all its legs once: what it adds since is counted by these accounts.
    told_all: bool = False
    # Whether it has pushed all, and was heard ever since: what it adds was counted just now.
    complete: bool = False
    counts: dict[Leg, Counts] = field(default_factory=dict)
    # What was counted before the accounts were taken up again, by class, payer and models: the
    # worker tells it again, until it has told all. By cell it would be a thousand times as much.
    kept: dict[Leg, Counts] = field(default_factory=dict)
    # All that was merged, by class, payer and models. Values are replaced, never edited.
    told: dict[Leg, Counts] = field(default_factory=dict)
    endpoints: dict[EndpointName, EndpointStats] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    limits_reached: dict[str, int] = field(default_factory=dict)
    listener: ListenerStats | None = None  # None: grpcio serves
    data_address: str = ""
    plan_id: str = ""  # empty before the first plan
    plan_age_s: float | None = None  # as the newest push said
    config_number: int = 0  # of the configuration in force there; 0: none of this epoch
    keys_number: int = 0  # likewise, of the keys
    _attempts: dict[EndpointName, float] = field(default_factory=dict)  # as of its last push

    @property
    def decided(self) -> int:
        return sum(counts.decided for counts in self.counts.values())

    def merge(self, push: PushStatsRequest, *, epoch: int, now_s: float) -> list[Increment]:
        """What the push adds; one that is repeated or late adds nothing."""
        if push.sequence <= self.sequence:
            return []
        silent_s = now_s - self.pushed_s
        self.complete &= silent_s <= WORKER_SILENT_S
        self.sequence, self.pushed_s, self.heard = push.sequence, now_s, True
        self._hear(push, silent_s)
        self.config_number = push.config_number if push.epoch == epoch else 0
        self.keys_number = push.keys_number if push.epoch == epoch else 0
        increments = [self._increment(stats) for stats in push.cells]
        self._sum_up(increments)
        if push.epoch == epoch and not push.more:
            self.complete = self.told_all = True
            self._forget_kept()
        return increments

    def heard_since_s(self, push: PushStatsRequest, *, now_s: float) -> float | None:
        """Since when the worker counted what this push adds; None if that says nothing of now."""
        is_next = push.sequence > self.sequence and self.complete
        if not is_next or now_s - self.pushed_s > WORKER_SILENT_S:
            return None
        return self.pushed_s if self.sequence else self.pushed_s - FIRST_PUSH_S

    def attempts(self, endpoint: EndpointName, *, now_s: float) -> float:
        """Recent attempts at an endpoint; older ones fade."""
        return self._attempts.get(endpoint, 0.0) * _left(now_s - self.pushed_s)

    def _hear(self, push: PushStatsRequest, silent_s: float) -> None:
        """Takes all from a push but its cells."""
        before, left = self.endpoints, _left(silent_s)
        self.endpoints = {(e.model, e.address): e for e in push.endpoints}
        self._attempts = {
            endpoint: self._attempts.get(endpoint, 0.0) * left
            + (max(stats.attempts - before[endpoint].attempts, 0) if endpoint in before else 0)
            for endpoint, stats in self.endpoints.items()
        }
        self.data_address = push.data_address
        self.plan_id = push.plan_id
        self.plan_age_s = push.plan_age_s if push.HasField("plan_age_s") else None
        self.refusals.update((refusal.reason, refusal.count) for refusal in push.refusals)
        self.limits_reached.update((one.limit, one.count) for one in push.limits_reached)
        self.listener = push.listener if push.HasField("listener") else None

    def _increment(self, stats: CellStats) -> Increment:
        leg, counts = leg_of(stats), counts_of(stats)
        last = self.counts.get(leg)
        self.counts[leg] = counts
        added = counts if last is None else counts.less(last)
        new = self.began or self.told_all or last is not None
        return Increment(leg, self._without_kept(leg, added), recent=self.complete, new=new)

    def _sum_up(self, increments: Sequence[Increment]) -> None:
        """Adds a push to what was pushed by class, payer and models."""
        sums: dict[Leg, Counts] = {}
        for leg, counts, *_ in increments:
            sums.setdefault(_of_all_cells(leg), Counts()).add(counts)
        for key, added in sums.items():
            added.add(self.told.get(key, _NOTHING))
            self.told[key] = added

    def _forget_kept(self) -> None:
        """Drops what the worker has not pushed again by now: it never will."""
        for key, counts in self.kept.items():
            self.told[key] = self.told[key].less(counts)
        self.kept = {}

    def _without_kept(self, leg: Leg, added: Counts) -> Counts:
        key = _of_all_cells(leg)
        kept = self.kept.get(key)
        if kept is None:
            return added
        again = added.least(kept)
        self.kept[key] = kept.less(again)
        return added.less(again)


_NOTHING = Counts()


def _of_all_cells(leg: Leg) -> Leg:
    return leg._replace(cell=leg.cell._replace(domain=OVERFLOW, size_bucket=OVERFLOW))


def _left(elapsed_s: float) -> float:
    return float(2.0 ** (-max(elapsed_s, 0.0) / _ATTEMPTS_HALF_LIFE_S))
