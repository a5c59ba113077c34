"""One step after another, on a clock that the test sets."""

import json

import pytest

from optimizer.deadline import Deadline
from optimizer.solution import Failure, Solution
from server.config.schema import Config
from server.control.corridor import Corridor, Haste, Step
from server.control.estimates import Estimates
from server.control.facts import Graded
from server.control.knowledge import Knowledge
from server.control.window import Window
from tests.server.control.told import CHAT, CODE, LARGE, NOW_S, SMALL, answered, push, service

TEAM = ("code", "team")


class Service:
    """A control plane without its loop."""

    def __init__(self, config: Config, requests: int = 20) -> None:
        self.knowledge = Knowledge(config)
        self.corridor = Corridor(self.knowledge, Estimates(), epoch=7, begun_s=NOW_S)
        self.knowledge.count_push(push(answered(CODE, "small", requests)), now_s=NOW_S)
        self.now_s = NOW_S

    def step(self) -> Step:
        self.now_s += 5.0
        return self.corridor.step(self.now_s)

    def grade(self, quality: float, count: int) -> None:
        """Answers to requests that were decided just now."""
        for _ in range(count):
            self.knowledge.facts.add_grade(
                Graded(CODE, "small", quality, 1.0, decided_s=self.now_s, told_s=self.now_s)
            )

    def required(self) -> float | None:
        draft = self.step().draft
        assert draft is not None
        return draft.window.problem.groups[0].floor


def test_a_step_learns_plans_and_puts_the_plan_in_force() -> None:
    found = Service(service())
    step = found.step()
    assert step.draft is not None
    assert step.draft.window.problem.demand == pytest.approx([20.0])
    assert found.corridor.plan is step.draft.plan
    assert step.draft.shares.cells.keys() == {CODE}
    assert found.corridor.accuracy.keys() == {"small", "large"}


def test_what_was_told_is_learned_once() -> None:
    found = Service(service())
    found.step()
    second = found.step().draft
    assert second is not None
    # No push came since, so nobody knows whether requests did.
    assert second.window.problem.demand == pytest.approx([20.0])


class Steady:
    """A worker of 20 requests a second that pushes once a second, and a model that takes 10."""

    def __init__(self) -> None:
        self.now_s, self._sequence = NOW_S, 0
        self.config = service(models=({**SMALL, "capacity": {"requests_per_s": 10.0}},))
        self.begin(Estimates(), begun_s=NOW_S)

    def begin(self, estimates: Estimates, *, begun_s: float | None = None) -> None:
        self._requests = 0
        self.knowledge = Knowledge(self.config, epoch=round(self.now_s))
        self.corridor = Corridor(self.knowledge, estimates, epoch=7, begun_s=begun_s)

    def serve(self, seconds: int, *, is_heard: bool = True) -> None:
        for _ in range(seconds):
            self.now_s += 1.0
            self._sequence += 1
            self._requests += 20
            if is_heard:
                told = answered(CHAT, "small", self._requests)
                message = push(told, sequence=self._sequence, epoch=round(NOW_S))
                self.knowledge.count_push(message, now_s=self.now_s)

    def shed(self) -> float:
        draft = self.corridor.step(self.now_s).draft
        assert draft is not None
        return draft.plan.classes[0].shed


def test_a_window_in_which_no_worker_is_heard_changes_no_plan() -> None:
    found = Steady()
    for _ in range(10):
        found.serve(5)
        assert found.shed() == pytest.approx(0.5, abs=0.1)
    found.serve(5, is_heard=False)
    assert found.shed() == pytest.approx(0.5, abs=0.01)
    found.serve(5)
    assert found.shed() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("down_s", [0.0, 5.0, 11.0, 60.0])
@pytest.mark.parametrize("waited_s", [0.0, 0.1, 2.0])
def test_the_first_plan_after_a_start_is_for_the_load_before_it(
    down_s: float, waited_s: float
) -> None:
    found = Steady()
    found.serve(60)
    before = found.shed()
    kept = found.corridor.estimates.to_plain()
    found.now_s += down_s
    found.begin(Estimates.from_plain(json.loads(json.dumps(kept, default=list)), age_s=down_s))
    found.now_s += waited_s
    assert found.shed() == pytest.approx(before, abs=1e-6)


def test_steps_that_route_alike_keep_the_plans_id_and_bring_no_parts() -> None:
    found = Service(service())
    first, second = found.step().draft, found.step().draft
    assert first is not None
    assert second is not None
    assert first.parts
    assert (second.plan.id, second.parts) == (first.plan.id, ())
    assert second.plan.time.ToNanoseconds() > first.plan.time.ToNanoseconds()


def test_a_service_that_nobody_has_asked_says_so_once_a_window_has_ended() -> None:
    empty = Corridor(Knowledge(service()), Estimates(), epoch=7, begun_s=NOW_S)
    assert empty.no_plan_reason == ""
    step = empty.step(NOW_S + 5)
    assert (step.draft, step.is_fault) == (None, False)
    assert empty.no_plan_reason == "nothing has been asked yet"


def test_a_first_plan_that_no_model_could_answer_for_says_that_it_waits_for_one() -> None:
    off = service(models=({**SMALL, "enabled": False}, {**LARGE, "enabled": False}))
    found = Service(off)
    found.step()
    assert "no request has been seen that a model which is up" in found.corridor.no_plan_reason
    found.knowledge.configure(service())
    found.step()
    assert found.corridor.plan is not None
    assert found.corridor.no_plan_reason == ""


def test_what_a_step_that_failed_was_told_is_not_lost() -> None:
    def failing(window: Window, deadline: Deadline) -> Solution | Failure:
        return Failure("limit", "it took too long")

    knowledge, estimates = Knowledge(service()), Estimates()
    knowledge.count_push(push(answered(CODE, "small", 20)), now_s=NOW_S)
    corridor = Corridor(knowledge, estimates, epoch=7, begun_s=NOW_S, solver=failing)
    step = corridor.step(NOW_S + 5)
    assert (step.failure, step.is_fault) == ("limit: it took too long", True)
    assert estimates.demand.per_s() == pytest.approx({CODE: 4.0})


def test_who_is_in_a_hurry_has_no_time_left() -> None:
    now_s = [1.0]
    haste = Haste(clock=lambda: now_s[0])
    deadline = Deadline(5.0, haste.now_s)
    assert deadline.left_s() == 5.0
    haste.is_over = True
    assert deadline.left_s() == 0.0


@pytest.mark.parametrize(("floor", "owed"), [(0.85, True), (0.99, False)])
def test_a_floor_out_of_reach_runs_up_no_debt(floor: float, owed: bool) -> None:
    classes = ({"name": "code", "default": True, "floor": floor},)
    found = Service(service(classes=classes))
    found.step()
    found.grade(0.0, 100)
    required = found.required()
    assert required is not None
    assert (required > floor) is owed


def test_a_debt_is_paid_while_the_floor_that_it_raised_is_out_of_reach() -> None:
    classes = ({"name": "code", "default": True, "floor": 0.94},)  # the best model reaches 0.95
    found = Service(service(classes=classes))
    found.step()
    account = found.corridor.estimates.accounts[TEAM]
    for _ in range(100):
        account.record_grade(0.0, 1.0, decided_s=found.now_s, now_s=found.now_s)
    owed = account.required(0.94, found.now_s)
    assert owed > 0.95
    step = found.step()
    assert step.draft is not None
    breaches = {breach.kind for breach in step.draft.plan.breaches}
    assert "floor" not in breaches  # only 0.94 was promised
    for _ in range(4_000):
        account.record_grade(1.0, 1.0, decided_s=found.now_s, now_s=found.now_s)
    assert account.required(0.94, found.now_s) < owed


def test_what_is_shed_runs_up_no_debt() -> None:
    small = {"requests_per_s": 0.1}
    models = tuple(model.model_dump() | {"capacity": small} for model in service().models)
    found = Service(service(models=models), requests=2_000)
    step = found.step()
    assert step.draft is not None
    assert step.draft.plan.classes[0].shed > 0.5
    account = found.corridor.estimates.accounts[TEAM]
    account.record_grade(0.0, 1.0, decided_s=found.now_s, now_s=found.now_s)
    assert account.required(0.85, found.now_s) == 0.85
