"""What a request uses up."""

import numpy as np
import pytest

from optimizer.estimate.accuracy import Cell
from optimizer.estimate.usage import UsageEstimate, Used

SHORT, LONG = ("code", "-", "any", "s"), ("code", "-", "any", "l")
HOUR_S = 3600.0


def usage(told: UsageEstimate, cell: Cell, model: str, now_s: float = 0.0) -> tuple[float, ...]:
    """Of one cell at one model: input tokens, output tokens, busy seconds."""
    return tuple(float(array[0, 0]) for array in told.mean([cell], [model], now_s)[:3])


def test_nothing_is_known_before_the_first_request() -> None:
    assert usage(UsageEstimate(), SHORT, "svc") == (0, 0, 0)


def test_many_requests_speak_for_themselves() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "svc", 1_000, 1_000, Used(50_000.0, 7_000.0, 2.0), 0.0)
    assert usage(told, SHORT, "svc") == pytest.approx((50, 7, 0.002), rel=0.01)


def test_a_cheap_model_is_not_taken_for_a_dear_one_after_a_few_requests() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "forest", 1_000, 1_000, Used(0.0, 0.0, 50.0), 0.0)
    told.observe_usage(SHORT, "linear", 20, 20, Used(0.0, 0.0, 20 * 0.0001), 0.0)
    assert usage(told, SHORT, "linear")[2] < 0.0002


def test_a_cell_without_requests_has_the_mean_of_the_model() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "svc", 100, 100, Used(5_000.0, 0.0, 0.0), 0.0)
    assert usage(told, LONG, "svc")[0] == pytest.approx(50, rel=0.01)


def test_a_new_model_uses_what_others_use_in_the_cell() -> None:
    told = UsageEstimate()
    for model in ("a", "b"):
        told.observe_usage(SHORT, model, 1_000, 1_000, Used(100_000.0, 0.0, 0.0), 0.0)
        told.observe_usage(LONG, model, 1_000, 1_000, Used(5_000_000.0, 0.0, 0.0), 0.0)
    assert usage(told, SHORT, "new")[0] == pytest.approx(100, rel=0.05)
    assert usage(told, LONG, "new")[0] == pytest.approx(5_000, rel=0.05)


def test_where_a_model_was_sent_does_not_make_it_look_hungry() -> None:
    told = UsageEstimate()
    # Both read what they are given; one was mostly given long texts, the other short ones.
    for model, (short, long) in {"a": (100, 1_000), "b": (1_000, 100)}.items():
        told.observe_usage(SHORT, model, short, short, Used(short * 100.0, 0.0, 0.0), 0.0)
        told.observe_usage(LONG, model, long, long, Used(long * 5_000.0, 0.0, 0.0), 0.0)
    third = ("code", "-", "any", "m")
    told.observe_usage(third, "a", 10_000, 10_000, Used(10_000 * 900.0, 0.0, 0.0), 0.0)
    assert usage(told, third, "b")[0] == pytest.approx(900, rel=0.02)


def test_old_requests_fade_beside_new_ones() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "svc", 1_000, 1_000, Used(1_000.0, 0.0, 0.0), 0.0)
    told.observe_usage(SHORT, "svc", 1_000, 1_000, Used(9_000.0, 0.0, 0.0), 20 * HOUR_S)
    assert usage(told, SHORT, "svc", 20 * HOUR_S)[0] == pytest.approx(9, rel=0.01)


def test_cells_and_models_come_back_in_the_order_they_were_asked_for() -> None:
    told = UsageEstimate()
    told.observe_usage(LONG, "b", 1_000, 1_000, Used(9_000.0, 0.0, 0.0), 0.0)
    told.observe_usage(SHORT, "a", 1_000, 1_000, Used(1_000.0, 0.0, 0.0), 0.0)
    found = told.mean([SHORT, LONG], ["a", "b"], 0.0).input_tokens
    assert found.shape == (2, 2)
    assert np.diag(found) == pytest.approx([1, 9], rel=0.02)


def test_tokens_are_those_of_answers_and_busy_seconds_those_of_attempts() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "svc", 10_000, 1_000, Used(50_000.0, 7_000.0, 20.0), 0.0)
    assert usage(told, SHORT, "svc") == pytest.approx((50, 7, 0.002), rel=0.01)


def test_a_model_that_never_answered_uses_what_others_use_in_the_cell() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "svc", 1_000, 1_000, Used(50_000.0, 0.0, 0.0), 0.0)
    told.observe_usage(SHORT, "dead", 1_000, 0, Used(0.0, 0.0, 0.0), 0.0)
    assert usage(told, SHORT, "dead")[0] == pytest.approx(50, rel=0.01)


def test_the_part_that_a_models_cache_serves_is_learned_by_cell() -> None:
    told = UsageEstimate()
    told.observe_usage(LONG, "a", 1_000, 1_000, Used(9e6, 1e5, 0.0, 8e6, 5e5, 4e4), 0.0)
    told.observe_usage(SHORT, "a", 1_000, 1_000, Used(1e5, 1e5, 0.0), 0.0)
    found = told.mean([LONG, SHORT], ["a"], 0.0)
    fresh, cached, put, said, reasoning = (array[:, 0] for array in found.by_class)
    assert cached == pytest.approx([8_000, 0], rel=0.02, abs=10)
    assert put == pytest.approx([500, 0], rel=0.02, abs=1)
    assert fresh == pytest.approx([500, 100], rel=0.05)
    assert said == pytest.approx([60, 100], rel=0.02)
    assert reasoning == pytest.approx([40, 0], rel=0.02, abs=0.5)


def test_answers_whose_tokens_nobody_knows_say_nothing_of_how_much_is_written() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "a", 1_000, 1_000, Used(5e4, 1e5, 0.0), 0.0)
    told.observe_usage(SHORT, "a", 9_000, 9_000, Used(45e4, 0.0, 0.0, guessed=9_000), 0.0)
    assert usage(told, SHORT, "a")[:2] == pytest.approx((50, 100), rel=0.01)


def test_rows_of_before_classes_of_tokens_were_told_apart_are_taken_up() -> None:
    told = UsageEstimate()
    told.observe_usage(SHORT, "a", 10, 10, Used(500.0, 70.0, 2.0), 0.0)
    plain = told.to_plain()
    rows = [(key, sums[:5]) for key, sums in plain["rows"]]
    found = UsageEstimate.from_plain({**plain, "rows": rows})
    assert np.array_equal(found.mean([SHORT], ["a"], 0.0), told.mean([SHORT], ["a"], 0.0))
