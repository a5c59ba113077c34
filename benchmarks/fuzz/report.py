"""What a run has found, for people and for programs."""

from collections.abc import Mapping

from benchmarks.fuzz.catalogue import TARGETS
from benchmarks.fuzz.meter import KIB
from benchmarks.fuzz.search import Findings, Found


def told(found: Mapping[str, Findings], seed: int) -> str:
    """A table, a line a target."""
    lines = [
        f"fuzz, seed {seed}: of each target the worst, and the size of its input, inflated",
        f"{'target':18} {'inputs':>7} {'kept':>4} {'ms a KB':>15} {'ms at a stretch':>15} "
        f"{'bytes a byte':>15} {'ends':>4} {'failed':>6}",
    ]
    lines += [_line(name, findings) for name, findings in found.items()]
    failed = sum(findings.failures_count for findings in found.values())
    return "\n".join((*lines, f"{failed:,} inputs failed" if failed else "passed"))


def as_json(found: Mapping[str, Findings], seed: int) -> object:
    return {"seed": seed, "targets": {name: _target(one) for name, one in found.items()}}


def _line(name: str, findings: Findings) -> str:
    free_bytes, worst = TARGETS[name].allowance.free_bytes, findings.worst
    columns = (
        _at(worst["s_a_kb"], 1e3 * worst["s_a_kb"].cost.s_a_kb),
        _at(worst["stretch_s"], 1e3 * worst["stretch_s"].cost.stretch_s),
        _at(worst["bytes_a_byte"], worst["bytes_a_byte"].cost.bytes_a_byte(free_bytes)),
    )
    population = findings.population
    return (
        f"{name:18} {findings.inputs:7,} {len(population.inputs()):4} {' '.join(columns)} "
        f"{len(population.shortest):4} {findings.failures_count:6,}"
    )


def _at(found: Found, figure: float) -> str:
    size = found.cost.size_bytes
    return f"{figure:7.2f} {f'{size} B' if size < KIB else f'{size // KIB} KB':>7}"


def _target(findings: Findings) -> object:
    return {
        "inputs": findings.inputs,
        "worst": {name: one.cost._asdict() for name, one in findings.worst.items()},
        "ends": sorted(findings.population.shortest),
        "failures": {kind: one.cost._asdict() for kind, one in findings.failures.items()},
        "failures_count": findings.failures_count,
    }
