"""What attempts teach; whom they convict is shown in test_conviction."""

import pytest

from server.config.models import HealthConfig
from server.routing.catalog import Cell, PayloadKind, compile_catalog
from server.routing.endpoints import Target
from server.routing.experience import Experience
from server.routing.health import HealthTracker
from server.routing.journey import Attempt, Fate, Journey
from server.routing.patience import ANSWERS_MIN, NO_TAILS, Tails
from server.routing.retry_budget import BUDGET_MAX
from server.status_code import Code
from server.token_usage import NO_TOKENS
from tests.server.routing.configs import config

MODELS = compile_catalog(config()).models
SMALL, LARGE = (Target(index, model, f"{model.name}:8001") for index, model in enumerate(MODELS))


def experience(**changes: int) -> tuple[Experience, HealthTracker]:
    health = HealthTracker(HealthConfig(consecutive_failures_max=1))
    health.track([SMALL.key, LARGE.key])
    return Experience(health, **changes), health


def asked(target: Target = SMALL, traffic_class: str = "chat") -> tuple[Journey, Attempt]:
    cell = Cell(traffic_class, "-", "other", "s0", PayloadKind.TENSORS)
    journey = Journey(cell, target.model.name, begun_s=0.0, slo_s=None, deadline_s=100.005)
    return journey, journey.begin(target, 0.0)


def answer(given: Experience, times: int, took_s: float = 1.0, traffic_class: str = "chat") -> None:
    for _ in range(times):
        journey, attempt = asked(traffic_class=traffic_class)
        attempt.end_with_answer(took_s, NO_TOKENS)
        given.observe(journey, attempt)


def refuse(given: Experience, times: int, code: Code = Code.RESOURCE_EXHAUSTED) -> None:
    for _ in range(times):
        journey, attempt = asked()
        attempt.end_without_answer(Fate.FAILED, 0.1, code)
        given.observe(journey, attempt)


def test_what_answers_take_is_known_by_model_and_class() -> None:
    given, _ = experience()
    answer(given, ANSWERS_MIN, took_s=1.0)
    assert given.own_time_s(*asked()) == 3.0
    assert given.own_time_s(*asked(LARGE)) == 50.0
    assert given.own_time_s(*asked(traffic_class="batch")) == 50.0


def test_what_is_not_answered_is_told_what_nearly_all_answers_of_its_model_took_by_then() -> None:
    given, _ = experience()
    answer(given, ANSWERS_MIN, took_s=2.0)
    answer(given, ANSWERS_MIN, took_s=3.0, traffic_class="batch")
    answer(given, ANSWERS_MIN - 1, took_s=4.0, traffic_class="rare")
    told = []
    for target, traffic_class in [(SMALL, "chat"), (SMALL, "rare"), (LARGE, "chat")]:
        journey, attempt = asked(target, traffic_class)
        attempt.give_up(2.0)
        given.observe(journey, attempt)
        told.append(attempt.tails)
    assert told == [Tails(2.0, 3.0), Tails(None, 3.0), NO_TAILS]


@pytest.mark.parametrize(
    ("heard_s", "took_s", "own_s"),
    [
        (0.0, 2.0, 3.285),
        (0.0, 1.0, 3.0),  # no longer than the tail
        (-1.0, 2.0, 3.0),  # the endpoint may hang
    ],
)
def test_what_its_deadline_cut_short_while_the_endpoint_answered_others_is_beyond_the_tail(
    heard_s: float, took_s: float, own_s: float
) -> None:
    given, health = experience()
    answer(given, ANSWERS_MIN, took_s=1.0)
    health.track([])
    health.track([SMALL.key])
    health.record_poor_answer(SMALL.key, now_s=heard_s)
    journey, attempt = asked()
    attempt.end_without_answer(Fate.FAILED, took_s, Code.DEADLINE_EXCEEDED)
    given.observe(journey, attempt)
    assert given.own_time_s(*asked()) == pytest.approx(own_s)


def test_a_models_failures_in_all_classes_are_of_one_budget() -> None:
    given, _ = experience()
    refuse(given, BUDGET_MAX // 2)
    assert not given.may_repeat(*asked(traffic_class="batch"))
    assert given.may_repeat(*asked(LARGE))


def test_who_is_to_be_given_up_takes_a_token_at_once() -> None:
    given, _ = experience()
    for _ in range(BUDGET_MAX // 4):
        assert given.may_repeat(*asked())
        given.give_up(*asked())
    assert not given.may_repeat(*asked())


def test_give_ups_of_one_class_leave_others_as_much() -> None:
    given, _ = experience()
    for _ in range(BUDGET_MAX):
        if given.may_repeat(*asked()):
            given.give_up(*asked())
    assert not given.may_repeat(*asked())
    assert given.may_repeat(*asked(traffic_class="batch"))


@pytest.mark.parametrize(("took_s", "may_repeat"), [(100.0, True), (99.0, True), (98.9, False)])
def test_what_its_callers_deadline_ended_takes_no_token(took_s: float, may_repeat: bool) -> None:
    given, _ = experience()
    for _ in range(BUDGET_MAX):
        journey, attempt = asked()
        attempt.end_without_answer(Fate.FAILED, took_s, Code.DEADLINE_EXCEEDED)
        given.observe(journey, attempt)
    assert given.may_repeat(*asked()) == may_repeat


def test_a_callers_own_mistakes_take_no_token() -> None:
    given, _ = experience()
    refuse(given, BUDGET_MAX, Code.INVALID_ARGUMENT)
    assert given.may_repeat(*asked())


def test_of_an_ejected_endpoint_what_is_out_may_be_asked_again() -> None:
    given, health = experience()
    refuse(given, BUDGET_MAX // 2)
    health.record_failure(SMALL.key, sent_s=0, now_s=0)
    assert given.may_repeat(*asked())


def test_beyond_so_many_models_and_classes_no_tail_is_known_but_budgets_are() -> None:
    given, _ = experience(lessons_max=1)
    answer(given, 1)
    answer(given, ANSWERS_MIN, traffic_class="batch")
    assert given.own_time_s(*asked(traffic_class="batch")) == 50.0
    for _ in range(BUDGET_MAX // 2):
        given.give_up(*asked(traffic_class="batch"))
    assert not given.may_repeat(*asked())
