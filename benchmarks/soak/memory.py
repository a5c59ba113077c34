"""How fast memory grows, and how sure that is.

The slope is that of a straight line through equal stretches of time, fitted by least squares. Of a
stretch the mean of its lowest third counts: what is held for a moment, while an attack lasts, is no
growth, and would hide it. Memory now says much about memory a second later, so single samples would
count the same news many times over and promise too much; stretches that are far longer than that
are nearly independent. The bound is one-sided, by Student's t with two degrees less than stretches.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

MIB = 2**20
STRETCHES = 8  # of eight minutes: one each
STRETCHES_MIN = 3  # fewer leave no degree of freedom
_LOWEST = 3
_CONFIDENCE = 0.95


class Slope(NamedTuple):
    """MiB a minute."""

    mib_per_min: float
    high: float  # it is at most this, at 95 % confidence


class Sample(NamedTuple):
    at_s: float
    resident_bytes: int


def slope(samples: Sequence[Sample]) -> Slope | None:
    """None where there are too few samples to say."""
    stretches = min(STRETCHES, len(samples) // 2)
    if stretches < STRETCHES_MIN:
        return None
    parts = np.array_split(np.array(samples, dtype=float), stretches)
    minutes, mib = np.array([_lowest(part) for part in parts]).T / [[60.0], [MIB]]
    away = minutes - minutes.mean()  # (stretches,)
    steep = float(away @ mib / (away @ away))
    left = mib - mib.mean() - steep * away
    doubt = math.sqrt(left @ left / (stretches - 2) / (away @ away))
    return Slope(steep, steep + float(stats.t.ppf(_CONFIDENCE, stretches - 2)) * doubt)


def _lowest(part: NDArray[np.float64]) -> NDArray[np.float64]:
    """Time and memory in the mean of a third of the samples."""
    order = np.argsort(part[:, 1], kind="stable")
    lowest: NDArray[np.float64] = part[order[: -(-len(part) // _LOWEST)]].mean(axis=0)
    return lowest
