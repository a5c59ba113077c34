"""When a promise counts as broken, and what a mix cost against always taking the best model.

A floor or an SLO counts as broken only when it lies above the interval of what was served. The
intervals are Wilson's, each so wide (Bonferroni) that all of a run hold together with 95 %: a
service that just keeps its promises breaks one by chance in less than one run of twenty.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

_TOGETHER = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """What the sample leaves possible, around what it shows."""

    low: float
    mean: float
    high: float


def confidence_of_each(promises: int) -> float:
    """With it, this many intervals hold together with 95 %, however they depend on each other."""
    return 1 - (1 - _TOGETHER) / promises


def wilson(good: int, total: int, confidence: float) -> Interval:
    """Of a fraction; without a sample, everything is possible."""
    if total == 0:
        return Interval(0.0, math.nan, 1.0)
    z, fraction = _z(confidence), good / total
    spread = z * math.sqrt(fraction * (1 - fraction) / total + z * z / (4 * total * total))
    centre, scale = fraction + z * z / (2 * total), 1 + z * z / total
    low, high = (centre - spread) / scale, (centre + spread) / scale
    # At 0 and 1 rounding would leave the fraction out, or leave what is possible.
    return Interval(max(0.0, min(low, fraction)), fraction, min(1.0, max(high, fraction)))


def poisson_high(count: int, confidence: float) -> float:
    """The most that such a count leaves possible of what was to be expected."""
    z = _z(confidence)
    return count + z * z / 2 + z * math.sqrt(count + z * z / 4)


def cost_ratio(costs: Sequence[int], best_costs: Sequence[int], confidence: float) -> Interval:
    """What requests cost against what the best model asks for the very same ones, paired."""
    best = fmean(best_costs)
    ratio = fmean(costs) / best
    # The error of a ratio of means is that of each pair's residual.
    residuals = [cost - ratio * other for cost, other in zip(costs, best_costs, strict=True)]
    error = stdev(residuals) / math.sqrt(len(residuals)) / best if len(residuals) > 1 else math.inf
    spread = _z(confidence) * error
    return Interval(ratio - spread, ratio, ratio + spread)


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
