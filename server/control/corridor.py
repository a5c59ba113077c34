"""From facts to a plan: one step learns new facts, solves the window, and drafts a plan.

`step` does it all at once. Who must not stand still meanwhile calls its three parts: `gather` and
`accept` take a moment, and `work` may run in another thread.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import structlog

from optimizer.deadline import Deadline
from optimizer.estimate.accuracy import Estimate
from optimizer.explore import Exploration
from optimizer.lp import solve
from optimizer.problem import Bools
from optimizer.solution import Failure, Solution
from server.control.estimates import Estimates
from server.control.exploring import Explorer, add_exploration
from server.control.facts import Given
from server.control.guard import Guard, Guarded
from server.control.knowledge import Knowledge
from server.control.messages import timestamp
from server.control.model_changes import ModelChange
from server.control.money_moved import add_money, cheapest_mix, given_up
from server.control.parts import Shares, parts_of, probes_of, shares_of
from server.control.plan import plan_message
from server.control.plan_archive import plan_id_of
from server.control.promises import add_promises
from server.control.reach import floors_out_of_reach
from server.control.saving import add_savings
from server.control.steadiness import Steadiness
from server.control.window import Window, build_window
from server.routing.catalog import Cell
from server.routing.selector import Probes
from turnout.v1.admin_pb2 import Plan
from turnout.v1.control_pb2 import WatchPlanResponse

_log = structlog.get_logger()

# How long all solves of a window may take together; then the best plan that was found is used.
SOLVE_S_MAX = 5.0

Solver = Callable[[Window, Deadline], Solution | Failure]


@dataclass(frozen=True, slots=True)
class Draft:
    """The plan that a step made of a window, ready to be put in force."""

    window: Window
    plan: Plan
    shares: Shares
    routes: object  # equal for plans that route alike
    is_another: bool  # it routes otherwise than the plan in force, whose id it has if not
    # Empty where that is in force as it is, with what audits try.
    parts: tuple[WatchPlanResponse, ...] = ()
    solution: Solution | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What a step found."""

    given: Given
    accuracy: Mapping[str, Estimate]  # what is believed of each model now
    draft: Draft | None = None
    failure: str = ""  # why there is no draft
    is_fault: bool = False  # whether there should have been one
    changes: tuple[ModelChange, ...] = ()  # the newest of all


def solve_window(window: Window, deadline: Deadline) -> Solution | Failure:
    """The optimizer's answer."""
    return solve(window.problem, deadline)


@dataclass(slots=True)
class Haste:
    """A clock for deadlines that are over at once when somebody is in a hurry."""

    is_over: bool = False
    clock: Callable[[], float] = field(default=time.monotonic)

    def now_s(self) -> float:
        return float("inf") if self.is_over else self.clock()


class Corridor:
    """Runs one step at a time. Only it touches the estimates; others read what `accept` took."""

    def __init__(
        self,
        knowledge: Knowledge,
        estimates: Estimates,
        *,
        epoch: int,
        begun_s: float | None = None,
        solver: Solver = solve_window,
    ) -> None:
        """`begun_s` is when a service began that remembers nothing; else None."""
        self.estimates = estimates
        self.plan: Plan | None = None  # in force; None before the first
        self.no_plan_reason = ""  # why the last window brought no first plan
        self.accuracy: Mapping[str, Estimate] = {}
        self._knowledge = knowledge
        self._epoch = epoch
        self._solver = solver
        self._begun_s = begun_s
        self._ids = 0
        self._routes: object = None
        # So often has each model changed since this control plane began; told once each.
        self.changed: Counter[str] = Counter()
        self._changed_s = max((one.time_s for one in estimates.changes.newest), default=0.0)
        self._probes: Mapping[Cell, Probes] = {}
        self._explorer = Explorer(np.random.default_rng(epoch))
        self._guard = Guard(solver)
        self._steadiness = Steadiness()

    def step(self, now_s: float) -> Step:
        """Runs a whole step, and puts its plan in force."""
        step = self.work(self.gather(now_s), Haste())
        self.accept(step)
        return step

    def learn(self, now_s: float) -> None:
        """Learns all facts so far, and plans nothing."""
        self.estimates.learn(self.gather(now_s))

    def gather(self, now_s: float) -> Given:
        """Takes all facts so far."""
        watched_s = self._knowledge.workers.take_watched_s()
        if watched_s and self._begun_s is not None:  # its workers have counted from its start
            watched_s, self._begun_s = max(watched_s, now_s - self._begun_s), None
        return self._knowledge.take_given(now_s, watched_s)

    def work(self, given: Given, haste: Haste) -> Step:
        """Learns the facts, then plans; the facts are learned even if planning fails."""
        self.estimates.learn(given)
        accuracy = {
            model.name: self.estimates.accuracy.of_model(model.name, given.now_s)
            for model in given.config.models
        }
        window = build_window(given, self.estimates)
        if window is not None and window.belief is not None:
            models = window.problem.models
            self.estimates.changes.expect(window.cells, models, window.belief.own)
        if window is None:
            return Step(given, accuracy, failure=self._why_nothing_is_planned())
        deadline = Deadline(SOLVE_S_MAX, haste.now_s)
        solution = self._solver(window, deadline)
        if isinstance(solution, Failure):
            failure = f"{solution.status}: {solution.message}"
            return Step(given, accuracy, failure=failure, is_fault=True)
        guarded = self._guard.guard(given, window, solution, self.estimates, deadline)
        guarded = self._steadiness.keep(guarded)
        out_of_reach = floors_out_of_reach(given, *guarded[:2], deadline)
        self._freeze_accounts(*guarded[:2], out_of_reach, given.now_s)
        changed = self.estimates.changes.explored(given.now_s)
        exploration = self._explorer.explore(given, *guarded[:2], deadline, changed)
        draft = self._draft(given, guarded, out_of_reach, exploration)
        add_savings(draft.plan, given, guarded, self.estimates)
        add_money(draft.plan, *guarded[:2], cheapest_mix(*guarded[:2], deadline))
        return Step(given, accuracy, draft, changes=self.estimates.changes.newest)

    def accept(self, step: Step) -> None:
        """Puts the plan of a step in force."""
        self.accuracy = step.accuracy
        self._tell(step.changes)
        if step.draft is not None:
            self.plan, self._routes = step.draft.plan, step.draft.routes
            self.no_plan_reason = ""
            self._probes = step.draft.shares.probes
            if step.draft.solution is not None:
                self._steadiness.remember(step.draft.window, step.draft.solution)
        else:
            self.fail(step.failure)

    def _tell(self, changes: Sequence[ModelChange]) -> None:
        for change in [one for one in changes if one.time_s > self._changed_s]:
            self.changed[change.model] += 1
            self._changed_s = change.time_s
            _log.warning("model changed", model=change.model, why=change.text)

    def fail(self, why: str) -> None:
        """Keeps the older plan, and notes in it why; or notes why there is none."""
        if self.plan is None:
            self.no_plan_reason = why
        else:
            self.plan.failure = why

    def _why_nothing_is_planned(self) -> str:
        if self.estimates.demand.per_s():
            return "no request has been seen that a model which is up could answer"
        when = "yet" if self.plan is None else "lately"
        return f"nothing has been asked {when}"

    def _draft(
        self,
        given: Given,
        guarded: Guarded,
        out_of_reach: Bools,
        exploration: Exploration,
    ) -> Draft:
        window, solution = guarded.window, guarded.solution
        probes = probes_of(window, exploration)
        shares = replace(shares_of(window, solution), probes=probes)
        routes, before = shares.nearly(), self.plan
        is_same = before is not None and routes == self._routes
        if before is not None and is_same:
            plan_id = before.id
        else:
            self._ids += 1
            plan_id = plan_id_of(self._epoch, self._ids)
        plan = plan_message(plan_id, window, solution, now_s=given.now_s, out_of_reach=out_of_reach)
        add_promises(plan, given, self.estimates.accuracy)
        add_exploration(plan, given, window, solution, exploration)
        for change in self.estimates.changes.of_hour(given.now_s):
            plan.model_changes.add(
                model=change.model, time=timestamp(change.time_s), text=change.text
            )
        parts = () if is_same and probes == self._probes else parts_of(plan_id, shares)
        return Draft(guarded.mixed[0], plan, shares, routes, not is_same, parts, solution)

    def _freeze_accounts(
        self, window: Window, solution: Solution, out_of_reach: Bools, now_s: float
    ) -> None:
        """Keeps a floor's debt from growing while no plan could hold the floor.

        The floor as configured: one that an account raised out of reach is still paid back, slowly.
        Nor does it grow while the floor has fallen, as its owner allows, for money is short.
        """
        fell = given_up(window.problem, solution)
        for g, group in enumerate(window.configured.groups):
            account = self.estimates.accounts.get((group.traffic_class, group.payer))
            if account is None or group.floor is None:
                continue
            if out_of_reach[g] or fell[g] or solution.group_shed[g] > 0:
                account.freeze(now_s)
