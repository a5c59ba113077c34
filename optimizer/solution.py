"""What the optimizer answers: a plan that is certified, or the reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from optimizer.problem import Floats

BreachKind = Literal["capacity", "pin", "slo", "domain", "floor", "pace", "short"]
Relaxed = Literal["none", "served", "pin", "slo", "domain", "floor", "pace", "short"]
Stopped = Literal["", "time", "precision"]
Status = Literal["limit", "uncertified", "solver"]


@dataclass(frozen=True, slots=True)
class Breach:
    """A bound that the plan cannot keep, and the best that was possible.

    capacity: fractions served; pin: share of what is served; slo: fractions beyond the SLO;
    floor, domain: mean accuracy; pace: nano-dollars a window; short: mean accuracy, of a floor that
    gives way to a pace as it may.
    """

    kind: BreachKind
    name: str  # the class (with its payer where it has several), its domain, or the budget
    bound: float
    best: float


@dataclass(frozen=True, slots=True)
class Certificate:
    """How far the plan can be trusted; both figures are relative and at most 1e-9.

    Of a plan that was stopped the gap may be any, and what it gives up may not be the least.
    """

    duality_gap: float
    worst_violation: float
    relaxed: Relaxed  # what had to be given up first
    stopped: Stopped = ""  # why the search ended before the least was certain


@dataclass(frozen=True, slots=True)
class Solution:
    """A plan that keeps every bound but those it names.

    A cell's shares and its pool's shed fraction add up to 1 exactly.
    """

    shares: Floats  # (C, M)
    shed: Floats  # (P,) fraction of each pool's requests
    cost_nano_usd: float  # of the window
    breaches: tuple[Breach, ...]
    duals: Mapping[str, float]  # nano-dollars per unit of the row, by row name ("floor:code", ...)
    certificate: Certificate
    accuracy: Floats  # (G,) expected of what is served; of a group without demand, of its mix
    miss: Floats  # (G,) likewise
    group_shed: Floats  # (G,) fraction of each group's requests, over its pools
    group_cost_nano_usd: Floats  # (G,) of the window
    budget_cost_nano_usd: Floats  # (B,) of the window


@dataclass(frozen=True, slots=True)
class Failure:
    """No certified plan: the caller keeps the older one."""

    status: Status
    message: str
