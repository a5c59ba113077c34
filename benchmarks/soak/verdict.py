"""What an attack may do to others and to memory, and whether it did more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from benchmarks.load import percentile
from benchmarks.soak.tally import FAULTS_TOLD_MAX

P99_TIMES_MAX = 8.0
# Fewer calls have no p99 to speak of: it is their fifth largest.
CALLS_MIN = 500
BACK_PART_MAX = 0.2
_TAIL = 0.99
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Latency:
    """The p99 of some calls, with its interval at 95 % confidence."""

    p99_ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True, slots=True)
class Resident:
    """MiB of a worker."""

    before: float
    peak: float
    after: float  # when it was back, or when time was over


@dataclass(frozen=True, slots=True)
class Measured:
    """What an attack was told, and what others felt of it."""

    name: str
    rounds_per_s: float
    sent_mib_per_s: float
    answers: Mapping[str, int]
    limits_reached: Mapping[str, int]
    wrong: Sequence[str]  # what honest callers found
    calls: int  # of the good client beside it, answered
    lost: Mapping[str, int]  # and not, by the reason
    alone: Latency | None
    attacked: Latency | None
    resident: Resident

    @property
    def times_slower(self) -> float | None:
        """None for too few calls."""
        return self.attacked.p99_ms / self.alone.p99_ms if self.alone and self.attacked else None


def latency(latencies_s: Sequence[float]) -> Latency | None:
    """None for too few calls. The interval is between two of them, by their ranks: it assumes
    nothing of how latencies are spread.
    """
    count, ranked_ms = len(latencies_s), [1e3 * one for one in sorted(latencies_s)]
    if count < CALLS_MIN:
        return None
    low, high = (int(rank) for rank in stats.binom.interval(_CONFIDENCE, count, _TAIL))
    return Latency(
        p99_ms=percentile(ranked_ms, _TAIL),
        low_ms=ranked_ms[low - 1],
        high_ms=ranked_ms[min(high, count - 1)],
    )


def better(before: Latency | None, after: Latency | None) -> Latency | None:
    """What a client feels that is alone: what an attack left behind may have slowed it too."""
    if before is None or after is None:
        return before or after
    return min(before, after, key=lambda one: one.p99_ms)


def back_mib_max(before_mib: float) -> float:
    """What a worker may still hold when an attack is over."""
    return (1 + BACK_PART_MAX) * before_mib


def faults(measured: Measured, worker_memory_mib: float) -> list[str]:
    """What was not as promised."""
    resident, times = measured.resident, measured.times_slower
    found = [*measured.wrong[:FAULTS_TOLD_MAX]]
    if measured.lost:
        lost = ", ".join(f"{count} by {why}" for why, count in measured.lost.items())
        found.append(f"the good client lost calls: {lost}")
    if times is not None and times > P99_TIMES_MAX:
        found.append(f"p99 is {times:.1f} times what it is alone, {P99_TIMES_MAX:g} at most")
    if resident.peak > worker_memory_mib:
        found.append(f"the worker took {resident.peak:.0f} MiB, {worker_memory_mib:g} at most")
    if resident.after > back_mib_max(resident.before):
        found.append(f"of {resident.before:.0f} MiB the worker kept {resident.after:.0f}")
    return [f"{measured.name}: {fault}" for fault in found]
