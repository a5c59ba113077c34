"""Merges what workers push: cumulative counters become what is new in each push, counted once."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from server.control.cell_stats import counts_of, leg_of
from server.routing.counters import Counts, Leg
from turnout.v1.control_pb2 import CellStats, EndpointStats, ListenerStats, PushStatsRequest

# A worker that pushed nothing for so long no longer says which endpoints are ejected.
WORKER_SILENT_S = 10.0
# Far more than one machine runs; beyond it the one that was silent longest is forgotten.
WORKERS_MAX = 256

Endpoint = tuple[str, str]  # model, address


class Increment(NamedTuple):
    """What one push adds to one leg."""

    leg: Leg
    counts: Counts
    # False: counted since some time before this control plane began, so it says nothing of now.
    recent: bool


@dataclass(slots=True)
class WorkerState:
    """The newest push of one worker."""

    name: str
    boot: str
    sequence: int
    pushed_s: float
    whole: bool  # every push of this boot was seen, so a cell that is new began at zero
    counts: dict[Leg, Counts] = field(default_factory=dict)
    endpoints: dict[Endpoint, EndpointStats] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    limits_reached: dict[str, int] = field(default_factory=dict)
    listener: ListenerStats | None = None  # None: grpcio serves
    data_address: str = ""
    plan_id: str = ""  # empty before the first plan
    plan_age_s: float | None = None  # at the newest push

    @property
    def decided(self) -> int:
        return sum(counts.decided for counts in self.counts.values())


class Workers:
    """Merges by (worker, boot, sequence): what is repeated or late adds nothing."""

    def __init__(self) -> None:
        self._states: dict[str, WorkerState] = {}
        # Of boots that are over.
        self._refusals_before: Counter[str] = Counter()
        self._limits_before: Counter[str] = Counter()
        self._calls_before = 0

    def merge(self, push: PushStatsRequest, *, now_s: float) -> list[Increment]:
        """What the push adds."""
        state = self._states.get(push.worker)
        if state is None or state.boot != push.boot:
            state = self._begin(push, now_s, state)
        elif push.sequence <= state.sequence:
            return []
        state.sequence, state.pushed_s = push.sequence, now_s
        state.data_address = push.data_address
        state.endpoints = {(e.model, e.address): e for e in push.endpoints}
        state.refusals.update((refusal.reason, refusal.count) for refusal in push.refusals)
        state.limits_reached.update((one.limit, one.count) for one in push.limits_reached)
        state.listener = push.listener if push.HasField("listener") else None
        state.plan_id = push.plan_id
        state.plan_age_s = push.plan_age_s if push.HasField("plan_age_s") else None
        return [_increment(state, stats) for stats in push.cells]

    def states(self) -> Iterator[WorkerState]:
        """Every worker, in the order of first pushes."""
        return iter(self._states.values())

    def endpoints(self, *, now_s: float) -> Iterator[tuple[Endpoint, EndpointStats]]:
        """What workers that still push say of endpoints; several may speak of one."""
        for state in self._states.values():
            if now_s - state.pushed_s <= WORKER_SILENT_S:
                yield from state.endpoints.items()

    def refusals(self) -> Counter[str]:
        """Requests answered with an error, by reason, of all boots."""
        totals = Counter(self._refusals_before)
        for state in self._states.values():
            totals.update(state.refusals)
        return totals

    def limits_reached(self) -> Counter[str]:
        """How often each limit of the transport was reached, of all boots."""
        totals = Counter(self._limits_before)
        for state in self._states.values():
            totals.update(state.limits_reached)
        return totals

    def calls(self) -> int:
        """Begun by callers, of all boots."""
        return self._calls_before + sum(said.calls for said in self._listeners())

    def connections(self, *, now_s: float) -> int | None:
        """Open now, at workers that still push; None where none says."""
        said = [
            state.listener.connections
            for state in self._states.values()
            if state.listener is not None and now_s - state.pushed_s <= WORKER_SILENT_S
        ]
        return sum(said) if said else None

    def _listeners(self) -> Iterator[ListenerStats]:
        return (state.listener for state in self._states.values() if state.listener is not None)

    def _begin(
        self, push: PushStatsRequest, now_s: float, before: WorkerState | None
    ) -> WorkerState:
        if before is not None:
            self._end(before)
        elif len(self._states) >= WORKERS_MAX:
            self._end(min(self._states.values(), key=lambda state: state.pushed_s))
        # A known worker's new boot, or a first push, began at zero under our eyes.
        whole = before is not None or push.sequence == 1
        state = WorkerState(push.worker, push.boot, push.sequence, now_s, whole)
        self._states[push.worker] = state
        return state

    def _end(self, state: WorkerState) -> None:
        self._refusals_before.update(state.refusals)
        self._limits_before.update(state.limits_reached)
        self._calls_before += 0 if state.listener is None else state.listener.calls
        del self._states[state.name]


def _increment(state: WorkerState, stats: CellStats) -> Increment:
    leg, counts = leg_of(stats), counts_of(stats)
    last = state.counts.get(leg)
    state.counts[leg] = counts
    if last is None:
        return Increment(leg, counts, recent=state.whole)
    return Increment(leg, counts.less(last), recent=True)
