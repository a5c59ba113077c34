"""What a request uses up."""

import numpy as np
import pytest

from optimizer.estimate.accuracy import Cell
from optimizer.estimate.usage import UsageEstimate

SHORT, LONG = ("code", "-", "any", "s"), ("code", "-", "any", "l")
HOUR_S = 3600.0


def usage(told: UsageEstimate, cell: Cell, model: str, now_s: float = 0.0) -> tuple[float, ...]:
    """Of one cell at one model: input tokens, output tokens, busy seconds."""
    return tuple(float(array[0, 0]) for array in told.mean([cell], [model], now_s))


def test_nothing_is_known_before_the_first_request() -> None:
    assert usage(UsageEstimate(), SHORT, "svc") == (0, 0, 0)


def test_many_requests_speak_for_themselves() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "svc", 1_000, 1_000, (50_000.0, 7_000.0, 2.0), 0.0)
    assert usage(told, SHORT, "svc") == pytest.approx((50, 7, 0.002), rel=0.01)


def test_a_cheap_model_is_not_taken_for_a_dear_one_after_a_few_requests() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "forest", 1_000, 1_000, (0.0, 0.0, 50.0), 0.0)
    told.observe_usage(SHORT, "linear", 20, 20, (0.0, 0.0, 20 * 0.0001), 0.0)
    assert usage(told, SHORT, "linear")[2] < 0.0002


def test_a_cell_without_requests_has_the_mean_of_the_model() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "svc", 100, 100, (5_000.0, 0.0, 0.0), 0.0)
    assert usage(told, LONG, "svc")[0] == pytest.approx(50, rel=0.01)


def test_a_new_model_uses_what_others_use_in_the_cell() -> None:
    told = UsageEstimate()
    for model in ("a", "b"):
        told.observe_usage(SHORT, model, 1_000, 1_000, (100_000.0, 0.0, 0.0), 0.0)
        told.observe_usage(LONG, model, 1_000, 1_000, (5_000_000.0, 0.0, 0.0), 0.0)
    assert usage(told, SHORT, "new")[0] == pytest.approx(100, rel=0.05)
    assert usage(told, LONG, "new")[0] == pytest.approx(5_000, rel=0.05)


def test_where_a_model_was_sent_does_not_make_it_look_hungry() -> None:
    told = UsageEstimate()
    # Both read what they are given; one was mostly given long texts, the other short ones.
    for model, (short, long) in {"a": (100, 1_000), "b": (1_000, 100)}.items():
        told.observe_usage(SHORT, model, short, short, (short * 100.0, 0.0, 0.0), 0.0)
        told.observe_usage(LONG, model, long, long, (long * 5_000.0, 0.0, 0.0), 0.0)
    third = ("code", "-", "any", "m")
    told.observe_usage(third, "a", 10_000, 10_000, (10_000 * 900.0, 0.0, 0.0), 0.0)
    assert usage(told, third, "b")[0] == pytest.approx(900, rel=0.02)


def test_old_requests_fade_beside_new_ones() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "svc", 1_000, 1_000, (1_000.0, 0.0, 0.0), 0.0)
    told.observe_usage(SHORT, "svc", 1_000, 1_000, (9_000.0, 0.0, 0.0), 20 * HOUR_S)
    assert usage(told, SHORT, "svc", 20 * HOUR_S)[0] == pytest.approx(9, rel=0.01)


def test_cells_and_models_come_back_in_the_order_they_were_asked_for() -> None:
    told = UsageEstimate()
    told.observe_usage(LONG, "b", 1_000, 1_000, (9_000.0, 0.0, 0.0), 0.0)
    told.observe_usage(SHORT, "a", 1_000, 1_000, (1_000.0, 0.0, 0.0), 0.0)
    found = told.mean([SHORT, LONG], ["a", "b"], 0.0).input_tokens
    assert found.shape == (2, 2)
    assert np.diag(found) == pytest.approx([1, 9], rel=0.02)


def test_tokens_are_those_of_answers_and_busy_seconds_those_of_attempts() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "svc", 10_000, 1_000, (50_000.0, 7_000.0, 20.0), 0.0)
    assert usage(told, SHORT, "svc") == pytest.approx((50, 7, 0.002), rel=0.01)


def test_a_model_that_never_answered_uses_what_others_use_in_the_cell() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "svc", 1_000, 1_000, (50_000.0, 0.0, 0.0), 0.0)
    told.observe_usage(SHORT, "dead", 1_000, 0, (0.0, 0.0, 0.0), 0.0)
    assert usage(told, SHORT, "dead")[0] == pytest.approx(50, rel=0.01)
