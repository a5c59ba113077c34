"""What the demo tells of its models: their names, what they cost, how often they are right.

The price of a request is the CPU time that one prediction takes, measured at start, at one dollar
an hour of a core. How the models come about stands in `training`, which takes scikit-learn a second
to import: only the processes that need it do.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.money import to_nano_usd

Bools = NDArray[np.bool_]

CORE_USD_PER_HOUR = 1.0
_CORE_NANO_USD_PER_S = to_nano_usd(CORE_USD_PER_HOUR) / 3600


@dataclass(frozen=True, slots=True)
class ServedAs:
    """What the server of a model calls it."""

    upstream_name: str
    version: str


CHEAPEST = "logreg-4x4"
OLD_VERSION = "svc"
NEW_VERSION = "svc-2"  # one machine instead of five, trained on shifted images too
SMALL = "svc-2-small"  # the same, by a server that can do little
MODELS: Mapping[str, ServedAs] = {
    CHEAPEST: ServedAs(CHEAPEST, "1"),
    "forest": ServedAs("forest", "1"),
    OLD_VERSION: ServedAs("svc", "1"),
    "committee": ServedAs("committee", "1"),
    NEW_VERSION: ServedAs("svc", "2"),
}
# A predictor keeps one core; the second thread answers readiness meanwhile.
THREADS = 2
AT_START = tuple(name for name in MODELS if name != NEW_VERSION)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found out about a model before it serves."""

    accuracy: float  # on the validation part
    graded: int  # images of that part
    cpu_s: float  # mean of a prediction

    @property
    def request_nano_usd(self) -> int:
        """At least one: a model is never free."""
        return max(1, round(self.cpu_s * _CORE_NANO_USD_PER_S))


@dataclass(frozen=True, slots=True)
class Study:
    """What is known of the models before the first request."""

    measured: Mapping[str, Measured]
    best: str  # of those at start, the most accurate
    best_is_right: Bools  # (held-out,) where always taking it would have been right

    def best_cost_nano_usd(self, _: int) -> int:
        """What that asks for an image: for each the same."""
        return self.measured[self.best].request_nano_usd

    def cheapest_alone(self, floor: float) -> str:
        """Of those at start that hold the floor by themselves, as far as is known."""
        at_start = {name: known for name, known in self.measured.items() if name != NEW_VERSION}
        able = [name for name, known in at_start.items() if known.accuracy >= floor]
        return min(able or [self.best], key=lambda name: self.measured[name].request_nano_usd)
