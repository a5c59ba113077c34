"""How near a plan's estimates are to what happened, on traffic that does not change.

Both are means over the same law. Of requests of one cell that begin with one model, n in the time
that is looked at and n' told to the estimate before it, the means differ by at most

    (s + R sqrt(2 L / N)) sqrt(2 L q) + R L q / 3 + R c / (n' + c),    q = 1 / n + 1 / n'.

The first two terms are Bernstein's bound, by the sample's deviation s of all N of them and the most
that it is off (Maurer and Pontil, 2009). The last is the credit: for how many requests an estimate
leans on what else it knows, which is off by at most the range R. Bernstein's bound fails with
probability 2 exp(-L): once in 10,000 runs of a test of at most COMPARISONS_MAX comparisons. An
estimate weighs older requests less; that n' counts no more than its weights are worth follows from
its half-lives, which are at least as long as a story.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, log, sqrt

import numpy as np

from server.routing.catalog import Cell
from tests.closed_loop.story import Attempt, End, Pick, Request, Solve, Story

COMPARISONS_MAX = 500
_L = log(2 * COMPARISONS_MAX / 1e-4)
# The most that an estimate leans on: all classes and a new model's own word, ten requests each.
CREDIT = 20.0
# Grades lean on priors that are believed to within five points at the narrowest, the pair's: worth
# a hundred grades of a variance of a quarter.
GRADES_CREDIT = 100.0
# Of fewer the bound says nothing.
REQUESTS_MIN = 500


@dataclass(slots=True)
class Sample:
    """One quantity of requests of one cell that begin with one model."""

    span: float = 1.0  # the widest that such values are apart
    before: list[float] = field(default_factory=list)  # what happened, and was told
    happened: list[float] = field(default_factory=list)  # then
    expected: list[float] = field(default_factory=list)  # of each by the newest window

    def error(self) -> float:
        return float(abs(np.mean(self.happened) - np.mean(self.expected)))

    def bound(self, credit: float, told: float) -> float:
        """What the error exceeds by bad luck alone; `told`: the part that estimates hear of."""
        count, before = len(self.happened), told * len(self.before)
        if min(count, before) < REQUESTS_MIN:
            return inf
        values = [*self.before, *self.happened]
        deviation = float(np.std(values, ddof=1)) + self.span * sqrt(2 * _L / (len(values) - 1))
        q = 1 / count + 1 / before
        return deviation * sqrt(2 * _L * q) + self.span * (_L * q / 3 + credit / (before + credit))


CONCURRENT = " (concurrent)"  # of a model's seconds, as the window names it

Quantity = tuple[str, Cell, str]  # what of it, cell, first model


def samples(story: Story, after_s: float) -> Mapping[Quantity, Sample]:
    """Of requests that began later than so long after the first, and of those before them."""
    found: dict[Quantity, Sample] = defaultdict(Sample)
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in story.attempts:
        attempts[attempt.request].append(attempt)
    for request, pick, solve in _picked(story):
        expected = _expected(solve, pick)
        for name, value in _happened(story, request, attempts[request.number]):
            sample = found[name, pick.cell, pick.model]
            if request.begun_s < story.requests[0].begun_s + after_s:
                sample.before.append(value)
            elif name in expected:
                sample.happened.append(value)
                sample.expected.append(expected[name])
    for (name, _, _), sample in found.items():
        sample.span = _span(name, found)
    return {quantity: sample for quantity, sample in found.items() if sample.happened}


def _span(name: str, found: Mapping[Quantity, Sample]) -> float:
    """1 of yes and no, and of attempts at a model that is not asked twice; else what is seen."""
    if name == "cost" or name.endswith(CONCURRENT):
        alike = [sample for quantity, sample in found.items() if quantity[0] == name]
        return max(max(*sample.before, *sample.happened, 0.0) for sample in alike)
    return 1.0


def _picked(story: Story) -> Iterator[tuple[Request, Pick, Solve]]:
    """Each request that went by a plan, with its pick and the newest window then."""
    solves: Sequence[Solve] = story.solves
    newest = -1
    for pick in story.picks:
        while newest + 1 < len(solves) and solves[newest + 1].at_s <= pick.at_s:
            newest += 1
        if newest >= 0 and pick.cell in solves[newest].window.cells:
            yield story.requests[pick.request], pick, solves[newest]


def _expected(solve: Solve, pick: Pick) -> dict[str, float]:
    problem = solve.window.problem
    at = solve.window.cells.index(pick.cell), problem.models.index(pick.model)
    uses = {f"use of {resource.name}": float(resource.use[at]) for resource in problem.resources}
    return uses | {
        "cost": float(problem.cost_nano_usd[at]),
        "miss": float(problem.miss[at]),
        "accuracy": float(problem.accuracy[at]),
    }


def _happened(
    story: Story, request: Request, asked: Sequence[Attempt]
) -> Iterator[tuple[str, float]]:
    slo = next(law.slo for law in story.scenario.classes if law.name == request.traffic_class)
    yield "cost", sum(attempt.cost_nano_usd for attempt in asked)
    if slo is not None:
        late = request.end is not End.ANSWERED or request.ended_s - request.begun_s > slo[0]
        yield "miss", float(late)
    for law in story.scenario.models:
        own = [attempt for attempt in asked if attempt.model is law]
        yield f"use of {law.name}", len(own)
        yield f"use of {law.name}{CONCURRENT}", sum(one.ended_s - one.begun_s for one in own)
    if request.is_right is not None:
        yield "accuracy", float(request.is_right)
