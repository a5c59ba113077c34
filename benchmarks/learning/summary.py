"""Runs of floors as a table for people, with 95 % intervals."""

import json
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import median_interval
from benchmarks.learning.floors import MISS

_Z = 1.96
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

Run = Mapping[str, Any]


class Key(NamedTuple):
    """What runs are of one row."""

    priors: str
    audit_rate: float
    floor: float


def runs_of(lines: Sequence[str]) -> dict[Key, list[Run]]:
    """By row, as `floors --json` printed them; an order that was run twice counts once."""
    found: dict[Key, dict[int, Run]] = {}
    for line in lines:
        run = json.loads(line)
        key = Key(run["priors"], run["audit_rate"], run["floor"])
        found.setdefault(key, {})[run["order"]] = run
    return {key: list(by_order.values()) for key, by_order in sorted(found.items(), key=_order)}


def table(rows: Mapping[Key, Sequence[Run]]) -> Iterator[str]:
    """In Markdown; then misses over all floors of the same priors and audit rate."""
    yield f"| {' | '.join(_HEAD)} |"
    yield f"|{'---|' * len(_HEAD)}"
    for key, runs in rows.items():
        yield f"| {' | '.join(_cells(key, runs))} |"
    yield ""
    yield from _pooled(rows)


def misses(key: Key, runs: Sequence[Run]) -> int:
    """Those that are expected to be more than half a point below their floor."""
    return sum(run["accuracy"] < key.floor - MISS for run in runs)


def wilson(count: int, of: int) -> tuple[float, float]:
    """95 % of a share."""
    share, doubt = count / of, _Z**2 / of
    centre = (share + doubt / 2) / (1 + doubt)
    half = _Z * sqrt(share * (1 - share) / of + _Z**2 / (4 * of**2)) / (1 + doubt)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _order(entry: tuple[Key, object]) -> tuple[str, float, float]:
    key = entry[0]
    return key.priors, -key.audit_rate, key.floor


def _cells(key: Key, runs: Sequence[Run]) -> Iterator[str]:
    accuracy, costs = [run["accuracy"] for run in runs], [run["cost_ratio"] for run in runs]
    single = [r["cost_nano_usd"] / r["single_nano_usd"] for r in runs if r["single_nano_usd"]]
    low, high = median_interval(costs)
    yield f"{key.priors}, {key.audit_rate:g}"
    yield f"{key.floor:.2f}"
    yield f"{misses(key, runs)} of {len(runs)}"
    yield f"{median(accuracy):.4f} ({min(accuracy):.4f})"
    yield f"{median(costs):.3f} ({low:.2f} to {high:.2f})"
    yield f"{np.quantile(costs, 0.9):.2f}"
    yield f"{median(single):.2f}" if single else "-"
    yield f"{median(run['probes'] for run in runs):.1%}"
    yield f"{median(run['named_short'] for run in runs):.0%}"


def _pooled(rows: Mapping[Key, Sequence[Run]]) -> Iterator[str]:
    pooled: dict[tuple[str, float], list[tuple[int, int]]] = {}
    for key, runs in rows.items():
        pooled.setdefault(key[:2], []).append((misses(key, runs), len(runs)))
    for (priors, audit_rate), counts in pooled.items():
        missed, of = (sum(column) for column in zip(*counts, strict=True))
        low, high = wilson(missed, of)
        yield (
            f"{priors} priors, audit {audit_rate:g}: missed {missed} of {of} "
            f"({low:.1%} to {high:.1%})"
        )
