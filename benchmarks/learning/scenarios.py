"""What befalls a service, on recorded outcomes: whether floors hold then, and at what cost."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.learning.floors import FAIR_SPREAD, PER_S
from benchmarks.learning.sets import config_of, fair_priors
from server.config.budgets import BudgetConfig
from server.config.models import CapacityConfig, PriceConfig
from server.config.schema import Config
from server.replay.answers import Answers
from server.replay.events import Stated, event, joining
from server.replay.figures import ClassFigures
from server.replay.grading import Grading
from server.replay.hindsight import Means, means_by_cell, singles
from server.replay.recording import Recording
from server.replay.report import told
from server.replay.run import Replay
from server.replay.traffic import Burst, Traffic, at_random, busier, shuffled

FLOOR, TIGHT_FLOOR, AUDIT_RATE = 0.65, 0.70, 0.2
# Of what the cheapest model that holds the floor would be asked or would cost, there is half.
_SHORT = 0.5
_BURST, _BURST_S = 5.0, 180.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """Changes to the steady one."""

    floor: float = FLOOR
    audit_rate: float = AUDIT_RATE
    is_capped: bool = False  # the workhorse takes half of the requests
    is_poor: bool = False  # a budget of half of what the workhorse costs
    events: Callable[["Cast"], Sequence[Stated]] = lambda _cast: ()
    bursts: Callable[["Cast"], Sequence[Burst]] = lambda _cast: ()
    grading: Grading = field(default_factory=Grading)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays which part: found in hindsight."""

    workhorse: str  # the cheapest single model that holds the floor
    worse: str  # one that is as dear or dearer, and ten points worse
    usd: float  # of a request at the workhorse
    middle_s: float  # half of the time


@dataclass(frozen=True, slots=True)
class Outcome:
    """The second half of what followed the event, or of the whole."""

    order: int
    accuracy: float
    floor: float
    answered: float
    cost_ratio: float
    cost_nano_usd: float
    named_short: float


SCENARIOS: Mapping[str, Scenario] = {
    "steady": Scenario(),
    "tight floor": Scenario(floor=TIGHT_FLOOR),
    "capacity": Scenario(is_capped=True),
    "budget": Scenario(is_poor=True),
    "all three": Scenario(floor=TIGHT_FLOOR, is_capped=True, is_poor=True),
    "price doubles": Scenario(
        events=lambda cast: [Stated(cast.middle_s, cast.workhorse, "price", "2")]
    ),
    "model degrades": Scenario(
        events=lambda cast: [Stated(cast.middle_s, cast.workhorse, "as", cast.worse)]
    ),
    "model gone": Scenario(events=lambda cast: [Stated(cast.middle_s, cast.workhorse, "gone", "")]),
    "new model": Scenario(events=lambda cast: [Stated(cast.middle_s, cast.workhorse, "joins", "")]),
    "burst of 5": Scenario(
        bursts=lambda cast: [Burst(cast.middle_s, cast.middle_s + _BURST_S, _BURST)]
    ),
    "every answer graded": Scenario(audit_rate=1.0),
    "10 % graded": Scenario(audit_rate=0.1),
    "2 % graded": Scenario(audit_rate=0.02),
    "grades an hour late": Scenario(grading=Grading(after_s=3_600.0)),
    "judge passes 30 % of wrong": Scenario(floor=0.68, grading=Grading(wrong_passed=0.3)),
    "wrong unreported, 2 of 3": Scenario(floor=0.68, grading=Grading(wrong_unreported=2 / 3)),
}


def outcomes(
    recording: Recording,
    prices: Mapping[str, PriceConfig],
    scenario: Scenario,
    *,
    orders: range,
    requests: int,
) -> Iterator[Outcome]:
    """One for each order."""
    for order in orders:
        replay, traffic, stated = _prepared(recording, prices, scenario, order, requests)
        report, _ = told(replay, traffic, [event(one) for one in stated])
        last = report.stretches[-1]
        found: ClassFigures = last.classes[0]
        yield Outcome(
            order=order,
            accuracy=found.accuracy,
            floor=scenario.floor,
            answered=found.answered / found.requests,
            cost_ratio=found.cost_ratio or 0.0,
            cost_nano_usd=found.cost_nano_usd,
            named_short=last.named_short,
        )


def _prepared(
    recording: Recording,
    prices: Mapping[str, PriceConfig],
    scenario: Scenario,
    order: int,
    requests: int,
) -> tuple[Replay, Traffic, Sequence[Stated]]:
    random = np.random.default_rng(order)
    priors = fair_priors(recording, FAIR_SPREAD, random)
    config = config_of(
        recording, prices, priors, floor=scenario.floor, audit_rate=scenario.audit_rate
    )
    at_s = at_random(requests, PER_S, random)
    query = shuffled(len(recording.requests.ids), requests, random)
    cast = _cast(recording, config, float(at_s[-1]) / 2)
    stated = scenario.events(cast)
    whole, begins_with = joining(_limited(config, scenario, cast), list(stated))
    replay = Replay(
        whole,
        recording.requests,
        Answers(recording, whole.models),
        scenario.grading,
        seed=order,
        begins_with=begins_with,
    )
    return replay, Traffic(busier(at_s, scenario.bursts(cast)), query), stated


def _cast(recording: Recording, config: Config, middle_s: float) -> Cast:
    """By the means over all queries, in which there is one cell."""
    answers = Answers(recording, config.models)
    read, written, _ = answers.usage()
    usd = sum(
        tokens * np.array([getattr(model.price, price) for model in config.models]) * 1e-6
        for tokens, price in ((read, "input_usd_per_mtok"), (written, "output_usd_per_mtok"))
    )
    everything = np.zeros(len(read), dtype=np.int64)
    score = recording.score[:, answers.columns]
    means = Means(
        np.ones(1), means_by_cell(everything, score, 1), means_by_cell(everything, usd, 1)
    )
    found = singles(means, np.full(len(config.models), True))
    # Tight floors are above what any single model reaches: then the best plays the part.
    best = max(found, key=lambda single: single.accuracy)
    workhorse = next((s for s in found if s.accuracy >= FLOOR), best)
    worse = min(found, key=lambda single: abs(single.accuracy - workhorse.accuracy + 0.1))
    names = [model.name for model in config.models]
    return Cast(names[workhorse.model], names[worse.model], workhorse.cost, middle_s)


def _limited(config: Config, scenario: Scenario, cast: Cast) -> Config:
    """With what the scenario is short of."""
    changes: dict[str, object] = {}
    if scenario.is_capped:
        capacity = CapacityConfig(requests_per_s=_SHORT * PER_S)
        changes["models"] = tuple(
            model.model_copy(update={"capacity": capacity})
            if model.name == cast.workhorse
            else model
            for model in config.models
        )
    if scenario.is_poor:
        hourly_usd = round(_SHORT * PER_S * 3_600 * cast.usd, 9)
        budget = BudgetConfig.model_validate(
            {"name": "all", "amount_usd": hourly_usd, "period": "hour"}
        )
        changes["budgets"] = (budget,)
    return config.model_copy(update=changes)
