"""Runs of floors as a table for people, with 95 % intervals."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import numpy as np

from benchmarks.harness import median_interval
from benchmarks.learning.runs_file import USUAL, Key, Run
from benchmarks.learning.targets import misses, of_single, verdicts, wilson

_HEAD = (
    "priors, audit rate",
    "floor",
    "missed",
    "accuracy (least)",
    "cost",
    "90 %",
    "of single",
    "probes",
    "said short",
)


def table(rows: Mapping[Key, Sequence[Run]]) -> Iterator[str]:
    """In Markdown; then misses over all floors alike, then whether the targets are reached."""
    yield f"| {' | '.join(_HEAD)} |"
    yield f"|{'---|' * len(_HEAD)}"
    for key, runs in rows.items():
        yield f"| {' | '.join(_cells(key, runs))} |"
    yield ""
    yield from _pooled(rows)
    yield ""
    yield from verdicts(rows)


def _cells(key: Key, runs: Sequence[Run]) -> Iterator[str]:
    accuracy, costs = [run["accuracy"] for run in runs], [run["cost_ratio"] for run in runs]
    single = of_single(runs)
    low, high = median_interval(costs)
    yield f"{_prefix(key.of)}{key.priors}, {key.audit_rate:g}"
    yield f"{key.floor:.2f}"
    yield f"{misses(key, runs)} of {len(runs)}"
    yield f"{median(accuracy):.4f} ({min(accuracy):.4f})"
    yield f"{median(costs):.3f} ({low:.2f} to {high:.2f})"
    yield f"{np.quantile(costs, 0.9):.2f}"
    yield f"{median(single):.2f}" if single else "-"
    yield f"{median(run['probes'] for run in runs):.1%}"
    yield f"{median(run['named_short'] for run in runs):.0%}"


def _pooled(rows: Mapping[Key, Sequence[Run]]) -> Iterator[str]:
    pooled: dict[tuple[str, str, float], list[tuple[int, int]]] = {}
    for key, runs in rows.items():
        pooled.setdefault(key[:3], []).append((misses(key, runs), len(runs)))
    for (of, priors, audit_rate), counts in pooled.items():
        missed, count = (sum(column) for column in zip(*counts, strict=True))
        low, high = wilson(missed, count)
        named = f"{_prefix(of)}{priors} priors, audit {audit_rate:g}"
        yield f"{named}: missed {missed} of {count} ({low:.1%} to {high:.1%})"


def _prefix(of: str) -> str:
    return "" if of == USUAL else f"{of}: "
