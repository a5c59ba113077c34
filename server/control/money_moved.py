"""Where money moves the mix: what budgets bought beyond the cheapest one, and what is given up for
them while they are short.
"""

from dataclasses import replace

import numpy as np

from optimizer.deadline import Deadline
from optimizer.explore import PAIRS_MAX
from optimizer.lp import solve
from optimizer.money_rows import buyers
from optimizer.problem import Bools, Floats, Problem, group_labels
from optimizer.solution import Solution
from server.control.hourly import HOUR_S
from server.control.window import Window
from server.money import usd
from server.routing.catalog import payer_text
from turnout.v1 import admin_pb2 as pb

# Of a pace that is used up, this may be left.
_LEFT = 1e-6
# A per cent with one decimal does not show less.
_SAME = 0.0005


def buying(problem: Problem) -> Bools:
    """(G,) whether the group gets the most accuracy that its budgets buy."""
    found = np.zeros(len(problem.groups), dtype=bool)
    for groups in buyers(problem):
        found[groups] = True
    return found


def given_up(problem: Problem, solution: Solution) -> Bools:
    """(G,) whether the group's floor has fallen, as it may, for its money is short."""
    short = {breach.name for breach in solution.breaches if breach.kind == "short"}
    return np.array([label in short for label in group_labels(problem.groups)], dtype=bool)


def cheapest_mix(window: Window, solution: Solution, deadline: Deadline) -> Solution | None:
    """What would be planned if no budget moved anything; None where none does, or in want of time.

    It is one more solve, which a large window has no time for.
    """
    problem = window.problem
    moved = buying(problem) | given_up(problem, solution)
    if not moved.any() or problem.accuracy.size > PAIRS_MAX:
        return None
    cheapest = solve(replace(problem, budgets=()), deadline)
    proven = isinstance(cheapest, Solution) and not cheapest.certificate.stopped
    return cheapest if isinstance(cheapest, Solution) and proven else None


def add_money(plan: pb.Plan, window: Window, solution: Solution, cheapest: Solution | None) -> None:
    """Says of each class and payer what is sought for it, and what its money did."""
    buys, gave = buying(window.problem), given_up(window.problem, solution)
    costs = None if cheapest is None else _per_hour(window, solution) - _per_hour(window, cheapest)
    for g, (group, message) in enumerate(zip(window.configured.groups, plan.classes, strict=True)):
        message.aim = "best_within_budget" if buys[g] else "least_cost"
        message.domain_floor = group.domain_floor or 0.0
        if group.floor_when_short is not None:
            message.floor_when_short = group.floor_when_short
        if cheapest is not None and costs is not None and (buys[g] or gave[g]):
            message.accuracy_at_least_cost = cheapest.accuracy[g]
            message.bought_cost_nano_usd_per_hour = round(costs[g])
        used_up = _used_up(window.problem, solution, group.payer)
        if gave[g]:
            message.money_text = _gave_up(message, used_up)
        elif buys[g]:
            message.money_text = _bought(message, used_up)


def _per_hour(window: Window, solution: Solution) -> Floats:
    """(G,) nano-dollars in an hour like the last one."""
    typical = window.typical
    cost = typical.demand * (solution.shares * typical.cost_nano_usd).sum(axis=1)
    per_window = np.bincount(typical.group_of, cost, len(typical.groups))
    return np.asarray(per_window * (HOUR_S / window.window_s))


def _used_up(problem: Problem, solution: Solution, payer: str) -> str:
    """The budgets of a payer that bound what the plan spends; empty: none does."""
    costs = zip(problem.budgets, solution.budget_cost_nano_usd.tolist(), strict=True)
    names = [b.name for b, cost in costs if cost >= b.pace_nano_usd * (1 - _LEFT)]
    return "+".join(name for name in payer.split("+") if name in names)


def _gave_up(found: pb.PlanClass, used_up: str) -> str:
    right, whole, lower = map(_percent, (found.accuracy, found.required, found.floor_when_short))
    more = -found.bought_cost_nano_usd_per_hour
    cost = f": to hold it would cost {usd(more)} an hour more" if more > 0 else ""
    return (
        f"is planned to be right in {right} of its answers instead of {whole}, while "
        f"{_budgets(used_up)} short{cost}; its owner lets the floor fall to {lower}"
    )


def _bought(found: pb.PlanClass, used_up: str) -> str:
    """What is bought, beside the cheapest mix where that is known."""
    most = f"{_budgets(used_up, verb='buy')}" if used_up else "there is, for its money allows it"
    bought = f"gets the most accuracy that {most}: {_percent(found.accuracy)}"
    more, before = found.bought_cost_nano_usd_per_hour, found.accuracy_at_least_cost
    if not before:
        return bought
    if abs(found.accuracy - before) < _SAME:
        return f"{bought}, which is what the cheapest mix has"
    less = f"cost {usd(more)} an hour less" if more > 0 else "cost no less"
    return f"{bought}, where the cheapest mix would have {_percent(before)} and {less}"


def _budgets(names: str, verb: str = "") -> str:
    """ "budget team-a is", "budgets a and b are"; with a verb "budget team-a buys"."""
    several = "+" in names
    does = f"{verb}{'' if several else 's'}" if verb else "are" if several else "is"
    return f"budget{'s' if several else ''} {payer_text(names)} {does}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}%"
