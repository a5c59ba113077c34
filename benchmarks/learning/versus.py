"""Turnout beside its rivals, on the same arrivals, grades and bills."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.learning.floors import Setting, prepared
from benchmarks.learning.pareto import is_here, pareto_curve
from benchmarks.learning.rivals import World, accuracy_at, oracle, thompson_curve, world_of
from server.config.models import PriceConfig
from server.replay.figures import figures, tables_of
from server.replay.recording import Floats, Recording

# The 97.5th percentile of a normal distribution.
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Versus:
    """The second half of one order: accuracy of ours, and of each rival at the cost of ours.

    None where a rival is dearer or cheaper than that whatever its parameter is.
    """

    order: int
    cost_nano_usd: float
    accuracy: float
    thompson: float | None
    paretobandit: float | None  # None, too, where the package is not installed
    fixed_mix_cost_ratio: float | None  # cost of the best fixed mix of hindsight over ours
    single_cost_ratio: float | None  # likewise, of the cheapest single model that holds the floor
    best_cost_ratio: float  # likewise, of the most accurate model for everything
    best_accuracy: float
    oracle_accuracy: float
    oracle_cost_nano_usd: float


def versus(
    recording: Recording,
    prices: Mapping[str, PriceConfig],
    setting: Setting,
    *,
    orders: range,
    requests: int,
) -> Iterator[Versus]:
    """One for each order."""
    for order in orders:
        replay, traffic = prepared(recording, prices, setting, order, requests)
        tables = tables_of(replay)
        story = replay.tell(traffic)
        half_s = float(traffic.at_s[len(traffic) // 2])
        ours = figures(replay, tables, story, half_s, float("inf"))[0]
        world = world_of(replay, tables, traffic)
        best = oracle(world)
        yield Versus(
            order=order,
            cost_nano_usd=ours.cost_nano_usd,
            accuracy=ours.accuracy,
            thompson=accuracy_at(thompson_curve(world, order), ours.cost_nano_usd),
            paretobandit=_pareto(world, ours.cost_nano_usd, order),
            fixed_mix_cost_ratio=_over(ours.fixed_mix_nano_usd, ours.cost_nano_usd),
            single_cost_ratio=_over(ours.cheapest_single_nano_usd, ours.cost_nano_usd),
            best_cost_ratio=ours.best_single_nano_usd / ours.cost_nano_usd,
            best_accuracy=ours.best_single_accuracy,
            oracle_accuracy=best.accuracy,
            oracle_cost_nano_usd=best.cost,
        )


def mean_with_interval(values: Floats) -> tuple[float, float, float]:
    """A mean over orders with its 95 % interval."""
    half = _Z * float(values.std(ddof=1)) / np.sqrt(values.size) if values.size > 1 else np.inf
    mean = float(values.mean())
    return mean, mean - half, mean + half


def _pareto(world: World, cost_nano_usd: float, seed: int) -> float | None:
    if not is_here():
        return None
    return accuracy_at(pareto_curve(world, cost_nano_usd, seed), cost_nano_usd)


def _over(theirs: float | None, ours: float) -> float | None:
    return None if theirs is None else theirs / ours
