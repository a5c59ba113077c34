"""What happened in a closed loop, as nobody inside of it saw it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from itertools import accumulate
from math import ceil, inf
from typing import NamedTuple

from optimizer.solution import Failure, Solution
from server.control.window import Window
from server.routing.catalog import Cell
from tests.closed_loop.scenario import ALL, ModelLaw, Scenario
from turnout.v1 import control_pb2 as pb
from turnout.v1.admin_pb2 import Plan

NO_CELL = Cell("", "", "", "", "")  # it ended before it was read


class End(Enum):
    """How a request or an attempt ended."""

    ANSWERED = "answered"
    FAILED = "failed"
    REFUSED = "refused"  # by us, before anyone was asked
    LEFT = "left"  # the caller did not wait
    KILLED = "killed"  # with its worker


@dataclass(slots=True)
class Attempt:
    """One call, as its endpoint saw it."""

    request: int
    boot: str
    model: ModelLaw
    address: str
    tokens: int
    begun_s: float
    ended_s: float = 0.0
    end: End | None = None  # None while it is out

    @property
    def cost_nano_usd(self) -> int:
        """What the model charges for it: time, and where it answered tokens and the request."""
        busy_s = Fraction(self.ended_s) - Fraction(self.begun_s)
        cost = busy_s * self.model.busy_second_nano_usd
        if self.end is End.ANSWERED:
            cost += self.tokens * self.model.token_nano_usd + self.model.request_nano_usd
        return ceil(round(cost, 3))


@dataclass(slots=True)
class Request:
    """One request, as its caller saw it."""

    number: int
    boot: str
    traffic_class: str
    tenant: str
    tokens: int
    begun_s: float
    cell: Cell = NO_CELL
    plan_id: str = ""  # in force when it was decided; empty: none
    ended_s: float = 0.0
    end: End | None = None
    reason: str = ""  # of an error
    message: str = ""
    answered_by: str = ""
    reported_s: float | None = None  # when a caller of Route heard that its usage was counted
    is_right: bool | None = None  # what it was answered, whether or not anybody asks


@dataclass(frozen=True, slots=True)
class Pick:
    """One pick of a worker's selector; the models are names."""

    request: int
    at_s: float
    boot: str
    plan_id: str
    cell: Cell
    blocked: frozenset[str]
    model: str


@dataclass(frozen=True, slots=True)
class Solve:
    """One window of a control plane, and what came of it."""

    at_s: float
    window: Window
    solution: Solution | Failure


class Heard(NamedTuple):
    """What a push that was answered added to a budget's money."""

    at_s: float
    boot: str
    budgets: Sequence[str]
    nano_usd: int


class Drained(NamedTuple):
    """A model that the operator took out, and when the control plane had it."""

    model: str
    from_s: float


@dataclass(slots=True)
class Story:
    """All of it."""

    scenario: Scenario
    requests: list[Request] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    picks: list[Pick] = field(default_factory=list)
    solves: list[Solve] = field(default_factory=list)
    plans: dict[str, Plan] = field(default_factory=dict)
    published: list[tuple[float, str]] = field(default_factory=list)  # when, and the plan's id
    drained: list[Drained] = field(default_factory=list)
    killed: dict[str, float] = field(default_factory=dict)  # boots, and when
    control_killed_s: list[float] = field(default_factory=list)
    control_back_s: list[float] = field(default_factory=list)
    last: Plan | None = None  # once all was told
    lasted_s: float = 0.0
    # By boot and leg the newest that was told, and of each push what it added.
    _told: dict[object, int] = field(default_factory=lambda: defaultdict(int))
    _heard: list[Heard] = field(default_factory=list)

    def acknowledge(self, boot: str, push: pb.PushStatsRequest, now_s: float) -> None:
        """A worker heard that its push was counted."""
        for stats in push.cells:
            leg = boot, stats.cell.SerializeToString(), stats.first, stats.model
            new = stats.cost_nano_usd - self._told[leg]
            self._told[leg] = stats.cost_nano_usd
            self._heard.append(Heard(now_s, boot, stats.cell.payer.split("+"), new))

    def acknowledged_nano_usd(self, boot: str, budget: str = ALL, *, after_s: float = 0.0) -> int:
        """What pushes of this boot that were answered later than that have said of money."""
        return sum(
            heard.nano_usd
            for heard in self._heard
            if heard.boot == boot and budget in heard.budgets and heard.at_s > after_s
        )

    def known_s(self, told_s: float, within_s: float) -> float:
        """When workers know what a control plane was told, which it may not live to tell them."""
        known_s = told_s + within_s
        for killed_s, back_s in zip(self.control_killed_s, self.control_back_s, strict=True):
            if told_s <= killed_s <= known_s:
                known_s = back_s + within_s
        return known_s

    def spent_nano_usd(self, boot: str, budget: str = ALL) -> int:
        """What attempts of Infer cost that budget in one worker's life."""
        return sum(
            one.cost_nano_usd
            for one in self.attempts
            if one.boot == boot and not self._is_routed(one) and self._draws_on(one, budget)
        )

    def reported_nano_usd(
        self, budget: str = ALL, *, after_s: float = 0.0, until_s: float = inf
    ) -> int:
        """What attempts cost of which callers have told, and heard in that time that it counted."""
        return sum(
            one.cost_nano_usd
            for one in self.attempts
            if (reported_s := self.requests[one.request].reported_s) is not None
            and after_s < reported_s <= until_s
            and self._draws_on(one, budget)
        )

    def _is_routed(self, attempt: Attempt) -> bool:
        """The caller made it, so no worker knows of it but by what the caller tells."""
        name = self.requests[attempt.request].traffic_class
        return any(law.routes for law in self.scenario.classes if law.name == name)

    def _draws_on(self, attempt: Attempt, budget: str) -> bool:
        return budget in (ALL, self.requests[attempt.request].tenant)

    def peak(self, model: ModelLaw) -> int:
        """The most attempts of Infer at one time; callers of Route take whatever they like."""
        changes = [
            change
            for one in self.attempts
            if one.model is model and not self._is_routed(one)
            for change in ((one.begun_s, 1), (one.ended_s, -1))
        ]
        # Of one that ends as another begins, the end comes first.
        return max(accumulate(change for _, change in sorted(changes)), default=0)

    def boots(self) -> list[str]:
        return list(dict.fromkeys(request.boot for request in self.requests))
