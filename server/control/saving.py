"""What a mix saves beside the cheapest single model that is sure to hold all that is promised."""

from math import sqrt
from typing import NamedTuple

import numpy as np

from optimizer.problem import Floats, Ints
from optimizer.single import Single
from server.control.estimates import Estimates
from server.control.facts import Given
from server.control.guard import Guarded
from server.control.hourly import HOUR_S
from server.control.window import Window
from server.routing.price import YOCTO_PER_NANO_USD
from turnout.v1 import admin_pb2 as pb

_Z = 1.96  # 95 % of a normal distribution is this many standard deviations around its mean
_ALL = 0.9995  # from here on one model has all: a per cent with one decimal
# From here on what is dearer is told as a factor.
_TIMES = 2.0


class Saving(NamedTuple):
    """Of what the single model costs, what the mix costs less; with its 95 % interval."""

    part: float
    low: float
    high: float


def saving(costs: Floats, mix: Floats, single: int, doubts: Floats) -> Saving:
    """Costs, (M,), of a request; the mix's shares, (M,); doubts, (M,): deviation of each cost.

    What the mix sends to the single model costs the same there, so its doubt is none of this.
    """
    alone, others = float(costs[single]), mix.copy()
    others[single] = 0.0
    if not alone:
        return Saving(0.0, 0.0, 0.0)
    elsewhere = float(others @ costs) / alone
    part = 1.0 - float(mix[single]) - elsewhere
    deviation = sqrt(
        float((others / alone) ** 2 @ doubts**2) + (elsewhere * float(doubts[single]) / alone) ** 2
    )
    return Saving(part, part - _Z * deviation, part + _Z * deviation)


def add_savings(plan: pb.Plan, given: Given, guarded: Guarded, known: Estimates) -> None:
    """What each class and payer would cost with one model alone, and whether a mix costs less."""
    window, solution = guarded.mixed
    relative = _relative_doubts(given, window, known)
    for g, message in enumerate(plan.classes):
        single = guarded.singles.get(g)
        if single is None:
            continue
        cells = np.flatnonzero(window.problem.group_of == g)
        part = window.problem.demand[cells] / window.problem.demand[cells].sum()
        costs = part @ window.problem.cost_nano_usd[cells]
        shares = part @ solution.shares[cells]
        per_request = [model.price.request / YOCTO_PER_NANO_USD for model in given.catalog.models]
        doubts = np.maximum(costs - np.array(per_request), 0.0) * relative
        found = saving(costs, shares, single.model, doubts)
        message.single_model = window.problem.models[single.model]
        message.single_cost_nano_usd_per_hour = _per_hour(window, single, cells)
        message.saving, message.saving_low, message.saving_high = found
        most = int(shares.argmax())
        all_by = window.problem.models[most] if shares[most] >= _ALL else ""
        message.routing_pays = g not in guarded.alone and not all_by
        message.routing_text = _text(message, "" if g in guarded.alone else all_by)


def _per_hour(window: Window, single: Single, cells: Ints) -> int:
    """In an hour like the last one."""
    typical = window.typical
    cost = typical.demand[cells] @ typical.cost_nano_usd[cells, single.model]
    return round(float(cost) * HOUR_S / window.window_s)


def _relative_doubts(given: Given, window: Window, known: Estimates) -> Floats:
    """(M,) of the part of a cost that differs from request to request: by as much as its mean.

    Of a few hundred requests to a language model it is half of that.
    """
    answers = known.usage.answers(window.problem.models, given.now_s)
    found: Floats = 1.0 / np.sqrt(np.maximum(answers, 1.0))
    return found


def _text(found: pb.PlanClass, all_by: str) -> str:
    """One sentence; all_by: the model that has all of it, empty where it is a mix."""
    one, low, high = found.single_model, found.saving_low, found.saving_high
    if found.routing_pays:
        proven = "" if low > 0 else ", which is not proven"
        return (
            f"routing pays: the mix costs {_compared(found.saving, low, high)} than {one} alone, "
            f"the cheapest model that is sure to keep every promise{proven}"
        )
    if all_by:
        return f"routing does not pay here: no mix costs less than {all_by} alone"
    return (
        f"routing does not pay here: {one} alone is sure enough to keep every promise, and a mix "
        f"with a margin for what is unsure would cost {_compared(found.saving, low, high)}"
    )


def _compared(saving: float, low: float, high: float) -> str:
    """ "38% less (31% to 45%)", "12% more (8% to 16%)", "8.1 times as much (6.9 to 9.3)"."""
    if saving >= 0:
        return f"{_percent(saving)} less ({_percent(low)} to {_percent(high)})"
    if -saving < _TIMES - 1.0:
        return f"{_percent(-saving)} more ({_percent(-high)} to {_percent(-low)})"
    factors = (f"{1.0 - part:.1f}" for part in (high, low))
    return f"{1.0 - saving:.1f} times as much ({' to '.join(factors)})"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2g}%"
