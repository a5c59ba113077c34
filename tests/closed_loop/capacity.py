"""How much of a model's capacity is used while more is asked for than it takes.

A plan gives a model as many requests as it takes, of those that are expected; of those that come it
gets the same part. So it gets more, or less, as arrivals differ from what was expected: both are
counts of Poisson arrivals, those that come within the time that is looked at and those that the
expectation rests on. Their relative errors are 1 / sqrt(count) each, and eight deviations of both
together are exceeded less than once in 10^14 times. To that comes the selectors' credit.
"""

from dataclasses import dataclass
from math import sqrt

from tests.closed_loop.promises import CELL_CREDIT_MAX
from tests.closed_loop.scenario import ModelLaw
from tests.closed_loop.story import Story

_DEVIATIONS = 8.0
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
    from_s, scenario = story.requests[0].begun_s + after_s, story.scenario
    lasts_s = scenario.lasts_s - after_s
    rarest = min(law.per_s for law in scenario.classes)
    luck = _DEVIATIONS * sqrt(1 / (rarest * lasts_s) + 1 / (rarest * _EXPECTED_BY_S))
    credit = CELL_CREDIT_MAX * scenario.workers * len({pick.cell for pick in story.picks})
    found = []
    for law in scenario.models:
        if law.requests_per_s is not None:
            begun = sum(one.model is law and one.begun_s >= from_s for one in story.attempts)
            fits = law.requests_per_s * lasts_s
            found.append(Use(law, begun, fits, fits * luck + credit))
    return found
