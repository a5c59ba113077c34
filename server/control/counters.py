"""Merges what workers push: cumulative counters become what is new in each push, counted once."""

import operator
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from server.routing.catalog import Cell
from server.routing.counters import LATENCY_BUCKETS, CellCounts
from turnout.v1.control_pb2 import CellStats, EndpointStats, ListenerStats, PushStatsRequest

# A worker that pushed nothing for so long no longer says which endpoints are ejected.
WORKER_SILENT_S = 10.0
# Far more than one machine runs; beyond it the one that was silent longest is forgotten.
WORKERS_MAX = 256

CellModel = tuple[Cell, str]
Endpoint = tuple[str, str]  # model, address


class Increment(NamedTuple):
    """What one push adds to one cell and model."""

    cell: Cell
    model: str
    counts: CellCounts
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
    counts: dict[CellModel, CellCounts] = field(default_factory=dict)
    endpoints: dict[Endpoint, EndpointStats] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    limits_reached: dict[str, int] = field(default_factory=dict)
    listener: ListenerStats | None = None  # None: grpcio serves
    data_address: str = ""

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
    cell = Cell(
        stats.cell.traffic_class, stats.cell.payer, stats.cell.domain, stats.cell.size_bucket
    )
    counts = _counts(stats)
    last = state.counts.get((cell, stats.model))
    state.counts[cell, stats.model] = counts
    if last is None:
        return Increment(cell, stats.model, counts, recent=state.whole)
    return Increment(cell, stats.model, less(counts, last), recent=True)


def _counts(stats: CellStats) -> CellCounts:
    latency = list(stats.latency_counts[:LATENCY_BUCKETS])
    return CellCounts(
        decided=stats.decided,
        completed=stats.completed,
        failed=stats.failed,
        slo_missed=stats.slo_missed,
        attempts=stats.attempts,
        input_tokens=stats.input_tokens,
        output_tokens=stats.output_tokens,
        busy_s=stats.busy_s,
        cost_nano_usd=stats.cost_nano_usd,
        latency_counts=latency + [0] * (LATENCY_BUCKETS - len(latency)),
    )


def less(counts: CellCounts, last: CellCounts) -> CellCounts:
    """What was counted since last."""
    return CellCounts(
        decided=counts.decided - last.decided,
        completed=counts.completed - last.completed,
        failed=counts.failed - last.failed,
        slo_missed=counts.slo_missed - last.slo_missed,
        attempts=counts.attempts - last.attempts,
        input_tokens=counts.input_tokens - last.input_tokens,
        output_tokens=counts.output_tokens - last.output_tokens,
        busy_s=counts.busy_s - last.busy_s,
        cost_nano_usd=counts.cost_nano_usd - last.cost_nano_usd,
        latency_counts=list(map(operator.sub, counts.latency_counts, last.latency_counts)),
    )


def add(total: CellCounts, counts: CellCounts) -> None:
    """Adds counts to a total, in place."""
    total.decided += counts.decided
    total.completed += counts.completed
    total.failed += counts.failed
    total.slo_missed += counts.slo_missed
    total.attempts += counts.attempts
    total.input_tokens += counts.input_tokens
    total.output_tokens += counts.output_tokens
    total.busy_s += counts.busy_s
    total.cost_nano_usd += counts.cost_nano_usd
    total.latency_counts = list(map(operator.add, total.latency_counts, counts.latency_counts))
