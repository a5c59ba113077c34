"""What comes after an attempt, and what a whole journey counts for."""

import pytest

from server.config.models import PriceConfig
from server.latency_buckets import latency_bucket
from server.routing.catalog import Cell, compile_catalog
from server.routing.counters import Counters, Counts, Leg
from server.routing.endpoints import Target
from server.routing.journey import MARGIN_S, Fate, Journey, Purpose, count_journey
from server.routing.status_meaning import STATUS_MEANINGS
from server.status_code import Code
from server.token_usage import NO_TOKENS, TokenUsage
from tests.server.routing.configs import config, model

CELL = Cell("chat", "-", "other", "s0")
MODELS = compile_catalog(
    config(
        model("small", price=PriceConfig(request_usd=1e-6, busy_second_usd=1e-3)),
        model("large", price=PriceConfig(request_usd=2e-6, busy_second_usd=4e-3)),
    )
).models
SMALL, LARGE = (Target(index, one, "a:1") for index, one in enumerate(MODELS))


def journey(*, slo_s: float | None = 0.5, deadline_s: float = 10) -> Journey:
    return Journey(CELL, "small", begun_s=0.0, slo_s=slo_s, deadline_s=deadline_s)


def failed(code: Code, took_s: float = 0.25) -> Journey:
    """One whose first attempt failed."""
    made = journey()
    made.begin(SMALL, 0.0).end_without_answer(Fate.FAILED, took_s, code)
    return made


def counts(made: Journey, model: str = "small") -> Counts:
    counters = Counters()
    count_journey(made, counters)
    return counters.get(Leg(CELL, "small", model))


def test_the_first_is_asked_and_then_one_more() -> None:
    made = journey()
    assert made.goes_on(0)
    first = made.begin(SMALL, 0.0)
    first.end_without_answer(Fate.FAILED, 1, Code.UNAVAILABLE)
    assert made.goes_on(1)
    second = made.begin(LARGE, 1)
    second.end_without_answer(Fate.FAILED, 2, Code.UNAVAILABLE)
    assert not made.goes_on(2)
    assert (first.purpose, second.purpose) == (Purpose.FIRST, Purpose.RETRY)


@pytest.mark.parametrize("code", STATUS_MEANINGS)
def test_a_failure_leads_on_where_its_verdict_says_so(code: Code) -> None:
    assert failed(code).goes_on(1) is STATUS_MEANINGS[code].retry


def test_an_attempt_that_was_given_up_leads_on() -> None:
    made = journey()
    made.begin(SMALL, 0).give_up(1)
    assert made.goes_on(1)


@pytest.mark.parametrize("fate", [Fate.ANSWERED, Fate.LEFT])
def test_an_end_leads_nowhere(fate: Fate) -> None:
    made = journey()
    made.begin(SMALL, 0).end_without_answer(fate, 1)
    assert not made.goes_on(1)


def test_nothing_is_asked_that_could_not_answer_in_time() -> None:
    made = journey(deadline_s=10)
    assert not made.goes_on(10 - MARGIN_S)
    assert made.goes_on(9.99)


def test_there_is_no_retry_without_time_left() -> None:
    assert not failed(Code.UNAVAILABLE, took_s=9.999).goes_on(9.999)


def test_an_endpoint_may_take_the_time_that_is_left_less_the_way_back() -> None:
    assert journey(deadline_s=10).time_left_s(4) == pytest.approx(6 - MARGIN_S)


def test_one_more_may_be_asked_where_half_as_much_time_is_left_as_the_first_had() -> None:
    made = journey(deadline_s=10)
    made.begin(SMALL, 0)
    assert made.may_move_on(10 - MARGIN_S - 3, own_s=6)
    assert not made.may_move_on(10 - MARGIN_S - 2.9, own_s=6)
    made.begin(LARGE, 1)
    assert not made.may_move_on(1, own_s=0)


@pytest.mark.parametrize(
    ("deadline_s", "left_s", "is_due"),
    [
        (0.04, 0.04, True),
        (0.04, 0.04 - 2 * MARGIN_S, True),
        (0.04, 0.04 - 2.1 * MARGIN_S, False),
        (2, 2 - MARGIN_S - 0.2, True),  # a tenth of what its caller gave
        (2, 2 - MARGIN_S - 0.21, False),
        (60, 60 - MARGIN_S - 1.0, True),  # but a second at most
        (60, 60 - MARGIN_S - 1.01, False),
    ],
)
def test_who_leaves_near_the_deadline_was_made_to_wait_too_long(
    deadline_s: float, left_s: float, is_due: bool
) -> None:
    assert journey(deadline_s=deadline_s).is_due(left_s + 1e-9) is is_due


def test_a_journey_ends_as_its_last_attempt_did() -> None:
    made = journey()
    fates = [made.fate]
    made.begin(SMALL, 0).give_up(1)
    fates.append(made.fate)
    made.begin(LARGE, 1).end_with_answer(2, NO_TOKENS)
    fates.append(made.fate)
    assert fates == [Fate.LEFT, Fate.FAILED, Fate.ANSWERED]


def test_an_answer_counts_for_its_leg_with_its_tokens_time_and_cost() -> None:
    made = journey()
    made.begin(SMALL, 0).end_with_answer(0.25, TokenUsage(input=7, output=3))
    made.ended_s = 0.25
    assert made.cost_nano_usd == 251_000
    latency_counts = [0] * len(Counts().latency_counts)
    latency_counts[latency_bucket(0.25)] = 1
    assert counts(made) == Counts(
        ended=1,
        completed=1,
        attempts=1,
        answered=1,
        input_tokens=7,
        output_tokens=3,
        busy_s=0.25,
        cost_nano_usd=251_000,
        latency_counts=latency_counts,
    )


def test_each_attempt_counts_for_its_own_model_and_the_request_for_the_first() -> None:
    made = failed(Code.UNAVAILABLE, took_s=0.25)
    made.begin(LARGE, 0.25).end_with_answer(0.5, TokenUsage(input=7))
    made.ended_s = 0.5
    small, large = counts(made), counts(made, "large")
    assert (small.attempts, small.answered, small.busy_s, small.completed) == (1, 0, 0.25, 1)
    assert (large.attempts, large.answered, large.busy_s, large.completed) == (1, 1, 0.25, 0)
    # What was not answered costs the time it held the model, and no request.
    assert (small.cost_nano_usd, large.cost_nano_usd) == (250_000, 1_002_000)
    assert made.cost_nano_usd == 1_252_000
    assert (small.ended, large.ended) == (1, 0)


def test_a_failed_request_is_counted_as_failed_and_missed() -> None:
    made = failed(Code.INTERNAL)
    made.ended_s = 0.25
    found = counts(made)
    assert (found.ended, found.completed, found.failed, found.slo_missed) == (1, 1, 1, 1)


def test_a_request_whose_last_attempt_was_given_up_has_failed() -> None:
    made = journey(slo_s=None)
    made.begin(SMALL, 0).give_up(9.9)
    made.ended_s = 9.9
    found = counts(made)
    assert (found.ended, found.completed, found.failed, found.slo_missed) == (1, 1, 1, 1)


def test_a_callers_own_garbage_says_nothing_of_the_model() -> None:
    made = failed(Code.INVALID_ARGUMENT)
    made.ended_s = 0.25
    found = counts(made)
    assert (found.ended, found.attempts, found.completed, found.failed) == (1, 1, 0, 0)


@pytest.mark.parametrize(("took_s", "missed"), [(0.5, 0), (0.51, 1)])
def test_an_answer_later_than_the_slo_is_missed(took_s: float, missed: int) -> None:
    made = journey(slo_s=0.5)
    made.begin(SMALL, 0).end_with_answer(took_s, NO_TOKENS)
    made.ended_s = took_s
    assert counts(made).slo_missed == missed


@pytest.mark.parametrize(("left_s", "completed"), [(0.5, 0), (0.51, 1)])
def test_a_caller_that_leaves_says_something_only_after_the_slo(
    left_s: float, completed: int
) -> None:
    made = journey(slo_s=0.5)
    made.begin(SMALL, 0).end_without_answer(Fate.LEFT, left_s)
    made.ended_s = left_s
    found = counts(made)
    assert (found.ended, found.completed, found.slo_missed) == (1, completed, completed)
    assert found.failed == 0


def test_a_journey_that_led_to_nobody_is_not_counted() -> None:
    counters, made = Counters(), journey()
    made.ended_s = 1
    count_journey(made, counters)
    assert counters.take_touched() == []


def test_tokens_are_counted_by_class_where_they_are_told() -> None:
    made = journey()
    usage = TokenUsage(input=1, cached_input=2, cache_write_input=4, output=8, reasoning=16)
    made.begin(SMALL, 0).end_with_answer(0.25, usage)
    found = counts(made)
    assert (found.input_tokens, found.output_tokens) == (7, 24)
    assert (found.cached_input_tokens, found.cache_write_input_tokens) == (2, 4)
    assert found.reasoning_tokens == 16
    assert (found.estimated, found.estimated_nano_usd, found.guessed) == (0, 0, 0)


def test_what_was_seen_of_an_answer_is_an_estimate_that_says_how_much_is_written() -> None:
    made = journey()
    attempt = made.begin(SMALL, 0)
    attempt.output_tokens = 5
    attempt.end_untold(0.25, read_tokens=3, expected_tokens=50)
    assert attempt.usage == TokenUsage(input=3, output=5)
    found = counts(made)
    assert (found.input_tokens, found.output_tokens, found.guessed) == (3, 5, 0)
    assert (found.estimated, found.estimated_nano_usd) == (1, found.cost_nano_usd)


def test_what_is_guessed_is_money_and_no_news_of_how_much_is_written() -> None:
    made = journey()
    attempt = made.begin(SMALL, 0)
    attempt.end_untold(0.25, read_tokens=3, expected_tokens=50)
    assert attempt.usage == TokenUsage(input=3, output=50)
    found = counts(made)
    assert (found.input_tokens, found.output_tokens, found.guessed) == (3, 0, 1)
    assert (found.estimated, found.estimated_nano_usd) == (1, found.cost_nano_usd)


def test_a_stream_that_breaks_off_is_charged_what_was_seen_as_an_estimate() -> None:
    made = journey()
    attempt = made.begin(SMALL, 0)
    attempt.begin_answer(0.0, input_tokens=3)
    attempt.output_tokens = 2
    attempt.end_without_answer(Fate.FAILED, 0.25, Code.UNAVAILABLE)
    found = counts(made)
    assert (found.answered, found.input_tokens, found.output_tokens) == (0, 3, 2)
    assert (found.estimated, found.estimated_nano_usd) == (1, found.cost_nano_usd)
