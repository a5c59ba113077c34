"""The price of a step, and when two plans differ by money alone."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from optimizer.deadline import Deadline
from optimizer.lp import solve
from optimizer.problem import Problem
from optimizer.solution import Solution

# Fractions nearer than this are equal: it is more than certificates allow, and far below a point.
EQUAL = 1e-7


@dataclass(frozen=True, slots=True)
class StepPrice:
    """The change that a step of one constraint brings, in a day like this window."""

    kind: Literal["floor", "slo", "capacity", "budget"]
    name: str  # the class, the resource or the budget
    step: float  # accuracy; fraction within the SLO; units a second; dollars a day
    cost_nano_usd_per_day: int | None = None  # None: it cannot be met, or changes more than money
    accuracy: float | None = None  # change for traffic_class, were the budget's pace a limit
    traffic_class: str = ""  # whose accuracy, where a dollar buys that


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one solve may take, and all of them."""

    solve_s: float
    deadline: Deadline


def proven(problem: Problem, limits: Limits) -> Solution | None:
    """The plan if it is proven to be the cheapest; a difference to any other would say nothing."""
    plan = solve(problem, limits.deadline.within(limits.solve_s))
    return plan if isinstance(plan, Solution) and not plan.certificate.stopped else None


def differ_by_money_alone(
    before: Solution, after: Solution, aside: Collection[tuple[str, str]] = ()
) -> bool:
    """Whether both plans break the same bounds by as much, but for those that are set aside."""
    left, right = _gaps(before, aside), _gaps(after, aside)
    return left.keys() == right.keys() and all(abs(left[k] - right[k]) <= EQUAL for k in left)


def _gaps(solution: Solution, aside: Collection[tuple[str, str]]) -> dict[tuple[str, str], float]:
    gaps = {(breach.kind, breach.name): breach.bound - breach.best for breach in solution.breaches}
    return {key: gap for key, gap in gaps.items() if key not in aside}
