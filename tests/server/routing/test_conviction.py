"""Whom a journey speaks against once it has ended."""

import pytest

from server.config.models import HealthConfig
from server.routing.catalog import Cell, compile_catalog
from server.routing.conviction import (
    OUTDONE_S_MAX,
    UNKNOWN_S_MAX,
    WELL_FOR_S,
    Charge,
    convicted,
)
from server.routing.endpoints import Target
from server.routing.health import HealthTracker
from server.routing.journey import Fate, Journey
from server.routing.patience import NO_TAILS, OWN_S_MIN, Tails
from server.status_code import Code
from server.token_usage import NO_TOKENS
from tests.server.routing.configs import config

CELL = Cell("chat", "-", "other", "s0")
MODELS = compile_catalog(config()).models
SMALL, LARGE = (Target(index, one, "a:1") for index, one in enumerate(MODELS))
SIBLING = SMALL._replace(endpoint="b:1")
WORSE, SILENT = [("a:1", Charge.WORSE)], [("a:1", Charge.SILENT)]
COMPARED = [Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS, Code.DEADLINE_EXCEEDED]


def timed_out(
    took_s: float = 1.0,
    tails: Tails = NO_TAILS,
    *,
    slo_s: float | None = 0.5,
    class_deadline_s: float = 60,
) -> Journey:
    """A journey whose first attempt had no answer at the deadline."""
    made = Journey(CELL, "small", begun_s=0.0, slo_s=slo_s, class_deadline_s=class_deadline_s)
    attempt = made.begin(SMALL, 0)
    attempt.end_without_answer(Fate.FAILED, took_s, Code.DEADLINE_EXCEEDED)
    attempt.tails, made.ended_s = tails, took_s
    return made


def given_up(took_s: float = 1.0, tails: Tails = NO_TAILS) -> Journey:
    """One whose first attempt was given up."""
    made = timed_out(took_s, tails)
    made.attempts[0].give_up(took_s)
    return made


def failed(code: Code) -> Journey:
    made = timed_out()
    made.attempts[0].end_without_answer(Fate.FAILED, 1.0, code)
    return made


def answered_by(made: Journey, target: Target, took_s: float) -> Journey:
    begun_s = made.attempts[-1].ended_s
    made.ended_s = begun_s + took_s
    made.begin(target, begun_s).end_with_answer(made.ended_s, NO_TOKENS)
    return made


def charges(
    made: Journey, *, heard_s: float | None = None, answered_s: float | None = None
) -> list[tuple[str, Charge]]:
    """Where something was heard of the first at that time, or it answered somebody."""
    health = HealthTracker(HealthConfig())
    health.track([SMALL.key, SIBLING.key, LARGE.key])
    if heard_s is not None:
        health.record_poor_answer(SMALL.key, now_s=heard_s)
    if answered_s is not None:
        health.record_success(SMALL.key, sent_s=answered_s, now_s=answered_s)
    return [(one.target.endpoint, charge) for one, charge in convicted(made, health)]


@pytest.mark.parametrize("code", COMPARED)
def test_who_failed_is_convicted_by_an_answer_to_the_same_bytes(code: Code) -> None:
    assert charges(answered_by(failed(code), LARGE, 5), heard_s=1) == WORSE


@pytest.mark.parametrize(
    ("other", "answered_s", "charged"),
    [
        (LARGE, 1 - WELL_FOR_S, []),
        (LARGE, 0.9 - WELL_FOR_S, WORSE),
        (SIBLING, 0.5, WORSE),  # it takes the same bytes
    ],
)
def test_what_another_model_answers_speaks_against_none_that_was_well_of_late(
    other: Target, answered_s: float, charged: list[tuple[str, Charge]]
) -> None:
    made = answered_by(failed(Code.INTERNAL), other, 0.1)
    assert charges(made, answered_s=answered_s) == charged


@pytest.mark.parametrize("code", COMPARED)
@pytest.mark.parametrize("second", [Code.INTERNAL, Code.INVALID_ARGUMENT])
def test_what_nobody_answers_convicts_nobody_that_is_heard(code: Code, second: Code) -> None:
    made = failed(code)
    made.begin(LARGE, 1).end_without_answer(Fate.FAILED, 2, second)
    assert charges(made, heard_s=0.5) == []


@pytest.mark.parametrize(("took_s", "charged"), [(0.9, SILENT), (1.0, [])])
def test_silence_convicts_where_another_answered_in_less(
    took_s: float, charged: list[tuple[str, Charge]]
) -> None:
    assert charges(answered_by(given_up(), LARGE, took_s)) == charged


@pytest.mark.parametrize(
    ("other", "tails", "charged"),
    [
        (LARGE, Tails(1.0, 1.0), WORSE),
        (LARGE, Tails(0.5, 1.1), []),  # another model may be quicker by nature
        (SIBLING, Tails(0.5, 1.1), WORSE),
        (LARGE, Tails(None, 0.5), []),  # or this class be slower than others
        (LARGE, NO_TAILS, []),
    ],
)
def test_who_is_heard_is_slow_beyond_what_its_answers_take_as_a_rule(
    other: Target, tails: Tails, charged: list[tuple[str, Charge]]
) -> None:
    assert charges(answered_by(given_up(1, tails), other, 0.1), heard_s=0.5) == charged


@pytest.mark.parametrize(
    ("tails", "charged"),
    [
        (Tails(1.0, 9.0), SILENT),
        (Tails(1.1, 1.1), []),
        (Tails(None, 1.0), SILENT),
        (Tails(None, 1.1), []),
    ],
)
def test_silence_is_measured_by_what_answers_take_as_a_rule(
    tails: Tails, charged: list[tuple[str, Charge]]
) -> None:
    assert charges(timed_out(1.0, tails)) == charged
    assert charges(given_up(1.0, tails)) == charged


@pytest.mark.parametrize(
    ("took_s", "slo_s", "charged"),
    [(0.5, 0.5, SILENT), (0.49, 0.5, []), (4, 100, SILENT), (4, None, SILENT), (3.9, None, [])],
)
def test_before_that_is_known_silence_is_measured_by_what_the_class_waits_for(
    took_s: float, slo_s: float | None, charged: list[tuple[str, Charge]]
) -> None:
    assert charges(timed_out(took_s, slo_s=slo_s, class_deadline_s=10)) == charged


@pytest.mark.parametrize(("took_s", "charged"), [(UNKNOWN_S_MAX, SILENT), (9.9, [])])
def test_however_long_the_class_waits_what_is_unknown_has_no_more_than_ten_seconds(
    took_s: float, charged: list[tuple[str, Charge]]
) -> None:
    assert charges(timed_out(took_s, slo_s=None, class_deadline_s=600)) == charged


@pytest.mark.parametrize(("heard_s", "charged"), [(-OWN_S_MIN, SILENT), (-0.02, []), (0.01, [])])
def test_nothing_is_silence_that_a_pause_explains(
    heard_s: float, charged: list[tuple[str, Charge]]
) -> None:
    made = answered_by(given_up(0.02, Tails(0.01, 0.05)), LARGE, 0.01)
    assert charges(made, heard_s=heard_s) == charged


@pytest.mark.parametrize(
    ("took_s", "slo_s", "heard_s", "charged"),
    [
        (0.25, None, -4.74, []),  # its caller saw a twentieth of the time
        (0.25, None, -4.76, SILENT),
        (2.0, None, -7.9, []),  # or as long as nothing else is known for
        (2.0, None, -8.1, SILENT),
        (0.25, 0.5, -0.24, []),  # or as its class waits
        (0.25, 0.5, -0.26, SILENT),
    ],
)
def test_where_nobody_answered_an_endpoint_is_silent_that_is_so_for_everybody_and_longer(
    took_s: float, slo_s: float | None, heard_s: float, charged: list[tuple[str, Charge]]
) -> None:
    made = timed_out(took_s, Tails(0.01, 0.01), slo_s=slo_s)
    assert charges(made, heard_s=heard_s) == charged


@pytest.mark.parametrize(
    ("took_s", "of_all_s", "charged"),
    [
        (0.25, 0.01, []),
        (9.9, 0.01, []),
        (10.0, 0.01, SILENT),
        (10.0, 11.0, []),
        (11.0, 11.0, SILENT),
    ],
)
def test_what_answers_to_others_take_makes_nobody_silent_sooner(
    took_s: float, of_all_s: float, charged: list[tuple[str, Charge]]
) -> None:
    made = timed_out(took_s, Tails(None, of_all_s), slo_s=None)
    assert charges(made) == charged


@pytest.mark.parametrize(
    ("took_s", "heard_s", "charged"),
    [
        (OUTDONE_S_MAX, None, SILENT),
        (0.49, None, []),  # another may be quicker by nature
        (OUTDONE_S_MAX, 0.5 - UNKNOWN_S_MAX, []),  # it answers others
        (OUTDONE_S_MAX, 0.4 - UNKNOWN_S_MAX, SILENT),
    ],
)
def test_of_a_class_that_is_not_known_another_answer_makes_silence_of_half_a_second(
    took_s: float, heard_s: float | None, charged: list[tuple[str, Charge]]
) -> None:
    made = timed_out(took_s, Tails(None, 0.01), slo_s=None)
    made.attempts[0].give_up(took_s)
    assert charges(answered_by(made, LARGE, 0.1), heard_s=heard_s) == charged


def test_a_caller_that_left_in_good_time_convicts_nobody() -> None:
    made = timed_out()
    made.attempts[0].abandon(1, is_due=False)
    assert (made.fate, charges(made)) == (Fate.LEFT, [])
