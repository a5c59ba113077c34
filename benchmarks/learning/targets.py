"""What issue 13 asks of floors on mmlu_pro, and whether runs reach it."""

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from statistics import median

from benchmarks.harness import median_interval
from benchmarks.learning.floors import MISS
from benchmarks.learning.runs_file import USUAL, Key, Run

_Z = 1.96
# Of so many runs, 32 of each of three floors.
RUNS = 96
# By priors and audit rate: at most so many of them may miss their floor.
MISSES: Mapping[tuple[str, float], int] = {
    ("fair", 0.2): 2,
    ("fair", 0.05): 4,
    ("equal", 0.2): 6,
    ("equal", 0.05): 14,
}
# Likewise, the most that the median run may cost against hindsight, by floor.
COSTS: Mapping[tuple[str, float], Mapping[float, float]] = {
    ("fair", 0.2): {0.60: 1.03, 0.65: 1.20, 0.68: 1.40},
    ("fair", 0.05): {0.60: 1.05, 0.65: 1.45, 0.68: 1.75},
    ("equal", 0.2): {0.60: 1.05, 0.65: 1.40, 0.68: 1.60},
    ("equal", 0.05): {0.60: 1.15, 0.65: 1.80, 0.68: 1.90},
}


def misses(key: Key, runs: Sequence[Run]) -> int:
    """Those that are expected to be more than half a point below their floor."""
    return sum(run["accuracy"] < key.floor - MISS for run in runs)


def of_single(runs: Sequence[Run]) -> list[float]:
    """Cost against the cheapest single model that holds the floor, where one does."""
    return [r["cost_nano_usd"] / r["single_nano_usd"] for r in runs if r["single_nano_usd"]]


def wilson(count: int, of: int) -> tuple[float, float]:
    """95 % of a share."""
    share, doubt = count / of, _Z**2 / of
    centre = (share + doubt / 2) / (1 + doubt)
    half = _Z * sqrt(share * (1 - share) / of + _Z**2 / (4 * of**2)) / (1 + doubt)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def verdicts(rows: Mapping[Key, Sequence[Run]]) -> Iterator[str]:
    """A line for each target: met, missed, or undecided where its interval holds the target."""
    usual = {key: runs for key, runs in rows.items() if key.of == USUAL}
    for kind, most in MISSES.items():
        of_kind = {key: runs for key, runs in usual.items() if key[1:3] == kind}
        if of_kind:
            yield _of_misses(kind, of_kind, most)
        for key, runs in of_kind.items():
            yield from _of_costs(key, runs, COSTS[kind].get(key.floor))


def _of_misses(kind: tuple[str, float], rows: Mapping[Key, Sequence[Run]], most: int) -> str:
    missed = sum(misses(key, runs) for key, runs in rows.items())
    count = sum(map(len, rows.values()))
    low, high = wilson(missed, count)
    said = _verdict(low, high, most / RUNS)
    if count == RUNS:  # the target is a count of so many
        said = "met" if missed <= most else "missed"
    named = f"{kind[0]} priors, audit {kind[1]:g}"
    found = f"missed {missed} of {count} ({low:.1%} to {high:.1%})"
    return f"{named}: {found}, at most {most} of {RUNS}: {said}"


def _of_costs(key: Key, runs: Sequence[Run], most: float | None) -> Iterator[str]:
    named = f"{key.priors} priors, audit {key.audit_rate:g}, floor {key.floor:.2f}"
    if most is not None:
        yield f"{named}: cost {_judged([run['cost_ratio'] for run in runs], most)}"
    alone = of_single(runs)
    if alone:
        low, high = median_interval(alone)
        said = "missed" if low > 1.0 else "met"
        yield (
            f"{named}: {median(alone):.2f} of the cheapest single model ({low:.2f} to {high:.2f}), "
            f"not above it beyond the interval: {said}"
        )


def _judged(values: Sequence[float], most: float) -> str:
    low, high = median_interval(values)
    return (
        f"{median(values):.3f} ({low:.3f} to {high:.3f}), at most {most:.2f}: "
        f"{_verdict(low, high, most)}"
    )


def _verdict(low: float, high: float, most: float) -> str:
    if high <= most:
        return "met"
    return "missed" if low > most else "undecided"
