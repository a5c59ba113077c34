"""Floors on recorded outcomes: whether they hold, and what that costs against hindsight."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.learning.sets import config_of, equal_priors, fair_priors
from server.config.models import PriceConfig
from server.replay.answers import Answers
from server.replay.figures import figures, named_short, tables_of
from server.replay.grading import Grading
from server.replay.recording import Floats, Recording
from server.replay.run import Replay
from server.replay.traffic import Traffic, again, at_random, shuffled

REQUESTS, PER_S = 20_000, 20.0
# A run that is expected to be further below its floor has missed it.
MISS = 0.005
FAIR_SPREAD = 0.05  # a standard deviation of five points

PriorsKind = Literal["equal", "fair"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    priors: PriorsKind
    floor: float
    audit_rate: float


@dataclass(frozen=True, slots=True)
class FloorRun:
    """The second half of one order."""

    order: int
    accuracy: float  # expected
    realised: float
    cost_ratio: float  # of expected costs, against the optimum by cells at the accuracy reached
    cost_nano_usd: float  # expected, of a request
    single_nano_usd: float | None  # of the cheapest single model that holds the floor
    reachable: float  # what the best model of each cell would reach
    probes: float  # the part of requests that were probes
    named_short: float  # the part of windows whose plan said that the floor cannot be held
    took_s: float  # of one core

    @property
    def of_single(self) -> float | None:
        """Against the cheapest single model; None where none holds the floor."""
        return self.cost_nano_usd / self.single_nano_usd if self.single_nano_usd else None

    def is_miss(self, floor: float) -> bool:
        return self.accuracy < floor - MISS


def runs(  # noqa: PLR0913 - what a run is made of
    recording: Recording,
    prices: Mapping[str, PriceConfig],
    setting: Setting,
    *,
    orders: Sequence[int],
    requests: int = REQUESTS,
    arrivals: Floats | None = None,
    clock: Callable[[], float] = time.process_time,  # of this process alone, whoever else works
) -> Iterator[FloorRun]:
    """One run for each order; priors are drawn with it."""
    for order in orders:
        begun_s = clock()
        replay, traffic = prepared(recording, prices, setting, order, requests)
        if arrivals is not None:
            traffic = replace(traffic, at_s=again(arrivals, requests))
        tables = tables_of(replay)
        story = replay.tell(traffic)
        half_s = float(traffic.at_s[len(traffic) // 2])
        found = figures(replay, tables, story, half_s, float("inf"))[0]
        yield FloorRun(
            order=order,
            accuracy=found.accuracy,
            realised=found.realised,
            cost_ratio=found.cost_ratio or 0.0,
            cost_nano_usd=found.cost_nano_usd,
            single_nano_usd=found.cheapest_single_nano_usd,
            reachable=found.best_accuracy,
            probes=found.by_basis.get("probe", 0) / found.requests,
            named_short=named_short(story, half_s),
            took_s=clock() - begun_s,
        )


def prepared(
    recording: Recording,
    prices: Mapping[str, PriceConfig],
    setting: Setting,
    order: int,
    requests: int,
) -> tuple[Replay, Traffic]:
    """A replay that has not begun, and who will ask."""
    random = np.random.default_rng(order)
    priors = (
        equal_priors(recording)
        if setting.priors == "equal"
        else fair_priors(recording, FAIR_SPREAD, random)
    )
    config = config_of(
        recording, prices, priors, floor=setting.floor, audit_rate=setting.audit_rate
    )
    answers = Answers(recording, config.models)
    traffic = Traffic(
        at_random(requests, PER_S, random),
        shuffled(len(recording.requests.ids), requests, random),
    )
    return Replay(config, recording.requests, answers, Grading(), seed=order), traffic
