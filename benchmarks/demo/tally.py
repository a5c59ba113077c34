"""What was served of a class in one act, beside always-best on the very same requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.demo.load import Served
from benchmarks.demo.promises import Interval, cost_ratio, wilson
from server.config.classes import SloConfig


class Always(Protocol):
    """What is known of the most accurate model, were it always asked."""

    @property
    def best(self) -> str: ...
    @property
    def best_is_right(self) -> NDArray[np.bool_]: ...
    def best_cost_nano_usd(self, item: int, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Tally:
    """One class, its samples as intervals."""

    traffic_class: str
    floor: float
    requests: int
    refused: int  # because the plan sheds them
    accuracy: Interval
    best_accuracy: float  # of always-best
    within_slo: Interval  # of those not refused; a failure is a miss
    cost: Interval  # a fraction of always-best's
    slo: SloConfig

    @property
    def broken(self) -> tuple[str, ...]:
        """The promises that the samples rule out, in words."""
        checks = (
            (self.accuracy.high < self.floor, f"the floor of {self.traffic_class}"),
            (self.within_slo.high < self.slo.fraction, f"the SLO of {self.traffic_class}"),
        )
        return tuple(promise for is_broken, promise in checks if is_broken)

    @property
    def is_cheaper(self) -> bool:
        """The samples show that it costs less than always-best."""
        return self.cost.high < 1


def tallies(
    served: Sequence[Served],
    floors: Mapping[str, float],
    always: Always,
    slo: SloConfig,
    confidence: float,
) -> tuple[Tally, ...]:
    """One for each class that was answered at all."""
    of_class = {
        name: [one for one in served if one.arrival.traffic_class == name] for name in floors
    }
    return tuple(
        _tally(name, floors[name], of_class[name], always, slo, confidence)
        for name in floors
        if any(one.answer for one in of_class[name])
    )


def _tally(
    name: str,
    floor: float,
    served: Sequence[Served],
    always: Always,
    slo: SloConfig,
    confidence: float,
) -> Tally:
    answered = [one for one in served if one.answer]
    refused = sum(one.is_shed for one in served)
    right = sum(one.right for one in answered)
    in_time = sum(one.latency_s <= slo.ms / 1000 for one in answered)
    best_right = sum(bool(always.best_is_right[one.arrival.item]) for one in answered)
    best_costs = [always.best_cost_nano_usd(one.arrival.item) for one in answered]
    return Tally(
        traffic_class=name,
        floor=floor,
        requests=len(served),
        refused=refused,
        accuracy=wilson(right, len(answered), confidence),
        best_accuracy=best_right / len(answered),
        within_slo=wilson(in_time, len(served) - refused, confidence),
        cost=cost_ratio([one.cost_nano_usd for one in answered], best_costs, confidence),
        slo=slo,
    )
