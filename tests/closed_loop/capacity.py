"""How much of a model's capacity is used while more is asked for than it takes.

A plan gives a model as many requests as it takes, of those that are expected; of those that come it
gets the same part. So it gets more, or less, as arrivals differ from what was expected: both are
counts of Poisson arrivals, those that come within the time that is looked at and those that the
expectation rests on. Of a class with r requests a second the relative error of their ratio has the
variance 1 / (r T) + 1 / (r E); six deviations of what all classes have of a model are exceeded less
than once in 10^8 times. To that comes what selectors and shedders owe.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from tests.closed_loop.promises import CLASS_CREDIT_MAX, SHED_DEBT_MAX
from tests.closed_loop.scenario import ModelLaw
from tests.closed_loop.story import Attempt, Story

_DEVIATIONS = 6.0
# What the estimate of demand rests on, in seconds of traffic: a half-life.
_EXPECTED_BY_S = 30.0


@dataclass(frozen=True, slots=True)
class Use:
    """Of one model, of requests a second."""

    model: ModelLaw
    begun: int  # attempts
    fits: float
    error: float  # how far `begun` may be from it by luck


def uses(story: Story, after_s: float) -> list[Use]:
    """Of each model that has a limit, later than so long after the first request."""
    from_s = story.requests[0].begun_s + after_s
    late = [one for one in story.attempts if story.requests[one.request].begun_s >= from_s]
    return [
        _use(story, law, [one for one in late if one.model is law], after_s)
        for law in story.scenario.models
        if law.requests_per_s is not None
    ]


def _use(story: Story, law: ModelLaw, begun: Sequence[Attempt], after_s: float) -> Use:
    scenario = story.scenario
    lasts_s = scenario.lasts_s - after_s
    of_class = Counter(story.requests[one.request].traffic_class for one in begun)
    variance = sum(
        of_class[asked.name] ** 2 * (1 / lasts_s + 1 / _EXPECTED_BY_S) / asked.per_s
        for asked in scenario.classes
    )
    cells = len({pick.cell for pick in story.picks})
    owed = scenario.workers * (CLASS_CREDIT_MAX * len(scenario.classes) + SHED_DEBT_MAX * cells)
    fits = (law.requests_per_s or 0.0) * lasts_s
    return Use(law, len(begun), fits, _DEVIATIONS * sqrt(variance) + owed)
