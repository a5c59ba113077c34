"""Misses of an SLO, as they were counted."""

import pytest

from optimizer.estimate.miss import KEYS_MAX, MissEstimate, Promise

SVC = Promise("chat", 0.1, "svc")


@pytest.mark.parametrize("part", [0.0, 0.05, 0.2, 1.0])
def test_many_requests_speak_for_themselves(part: float) -> None:
    estimate = MissEstimate()
    estimate.observe_misses(SVC, 10_000, part * 10_000, 0.0)
    assert estimate.of(SVC, believed=0.5, now_s=0.0) == pytest.approx(part, abs=0.001)


def test_while_few_were_counted_what_is_believed_holds() -> None:
    estimate = MissEstimate()
    assert estimate.of(SVC, believed=0.3, now_s=0.0) == pytest.approx(0.3)
    estimate.observe_misses(SVC, 1, 1, 0.0)
    assert estimate.of(SVC, believed=0.3, now_s=0.0) == pytest.approx(4 / 11)


def test_another_slo_begins_anew() -> None:
    estimate = MissEstimate()
    estimate.observe_misses(SVC, 10_000, 10_000, 0.0)
    assert estimate.of(SVC._replace(slo_s=0.2), believed=0.0, now_s=0.0) == 0.0


def test_old_misses_fade_so_that_a_model_is_tried_again() -> None:
    estimate = MissEstimate()
    estimate.observe_misses(SVC, 10_000, 10_000, 0.0)
    assert estimate.of(SVC, believed=0.0, now_s=30 * 120.0) < 0.01


def test_what_was_told_longest_ago_is_forgotten() -> None:
    estimate = MissEstimate()
    estimate.observe_misses(SVC, 10_000, 10_000, 0.0)
    for n in range(KEYS_MAX):
        estimate.observe_misses(SVC._replace(first=f"m{n}"), 1, 0, 0.0)
    assert estimate.of(SVC, believed=0.0, now_s=0.0) == 0.0
