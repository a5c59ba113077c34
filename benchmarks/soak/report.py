"""What a soak has shown, for people."""

from collections.abc import Iterable, Mapping

from benchmarks.soak.aftermath import JUDGED_MINUTES
from benchmarks.soak.memory import Slope
from benchmarks.soak.one_by_one import Performance
from benchmarks.soak.run import Findings
from benchmarks.soak.verdict import Latency, Measured

_ACTS_HEAD = (
    f"  {'attack':18} {'rounds/s':>8} {'MiB/s':>6} {'calls':>5} {'lost':>4}"
    f" {'p99 alone':>18} {'attacked':>20} {'times':>6} {'MiB before':>10} {'peak':>6} {'after':>6}"
)


def told_acts(acts: Performance) -> str:
    """A line for each attack."""
    lines = [
        "attacks one by one; of a good client's calls p99 in ms, with its interval at 95 %:",
        _ACTS_HEAD,
    ]
    lines += [_told_attack(one) for one in acts.measured]
    return "\n".join((*lines, *_told_faults(acts.faults, len(acts.faults))))


def told(findings: Findings) -> str:
    """The load that is mixed."""
    lines = [f"soak of {findings.minutes:g} minutes, seed {findings.seed}"]
    lines += [
        f"  {name:26} {count:8,}  slowest {findings.slowest_s[name]:6.2f} s"
        for name, count in sorted(findings.done.items())
    ]
    lines.append(f"decisions answered and counted: {findings.decided:,}")
    lines.append("limits reached: " + _pairs(findings.limits_reached))
    lines.append("memory, MiB a minute, and at most at 95 % confidence:")
    lines += [f"  {name:26} {_grown(found)}" for name, found in findings.memory.items()]
    if findings.minutes < JUDGED_MINUTES:
        lines.append(f"  not judged in less than {JUDGED_MINUTES:g} minutes")
    return "\n".join((*lines, *_told_faults(findings.faults, findings.faults_count)))


def _told_attack(attack: Measured) -> str:
    resident, times = attack.resident, attack.times_slower
    return (
        f"  {attack.name:18} {attack.rounds_per_s:8.1f} {attack.sent_mib_per_s:6.2f}"
        f" {attack.calls:5} {sum(attack.lost.values()):4}"
        f" {_told_latency(attack.alone):>18} {_told_latency(attack.attacked):>20}"
        f" {'-' if times is None else f'{times:.1f}':>6}"
        f" {resident.before:10.0f} {resident.peak:6.0f} {resident.after:6.0f}"
        f"\n{'':20} answers: {_pairs(attack.answers)}; limits: {_pairs(attack.limits_reached)}"
    )


def _told_latency(of: Latency | None) -> str:
    return "-" if of is None else f"{of.p99_ms:.1f} [{of.low_ms:.1f} {of.high_ms:.1f}]"


def _told_faults(faults: Iterable[str], count: int) -> list[str]:
    return [*(f"FAULT {fault}" for fault in faults), f"{count} faults" if count else "passed"]


def _grown(found: Slope | None) -> str:
    return "too few samples" if found is None else f"{found.mib_per_min:8.2f} {found.high:8.2f}"


def _pairs(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"
