"""What a worker counts: cumulative, touched cells told apart, bounded."""

import dataclasses
import json
from typing import Any

import pytest

from server.latency_buckets import LATENCY_BUCKETS
from server.routing.catalog import Cell
from server.routing.counters import NO_MODEL, OVERFLOW, REASONS_MAX, Counters, Counts, Leg

CELL = Cell("chat", "-", "other", "s0")


def test_counts_of_a_cell_and_model_add_up_and_are_told_apart() -> None:
    counters = Counters()
    counters.of(CELL, "a", "a").decided += 1
    counters.of(CELL, "a", "a").decided += 1
    counters.of(CELL, "b", "b").decided += 1
    assert counters.get(Leg(CELL, "a", "a")).decided == 2
    assert counters.get(Leg(CELL, "b", "b")).decided == 1


def test_what_another_model_did_for_requests_is_told_apart() -> None:
    counters = Counters()
    counters.of(CELL, "a", "a").attempts += 1
    counters.of(CELL, "a", "b").attempts += 2
    assert counters.get(Leg(CELL, "a", "a")).attempts == 1
    assert counters.get(Leg(CELL, "a", "b")).attempts == 2


def test_counts_add_up_and_are_taken_apart_in_every_field() -> None:
    latencies, others = [12] * LATENCY_BUCKETS, range(13, 22)
    one = Counts(1, 2, 3, 4, 5, 6, 7, 8, 9, 10.0, 11, latencies, *others)
    total = Counts()
    total.add(one)
    assert total == one
    total.add(one)
    twice = (*range(2, 23, 2), [24] * LATENCY_BUCKETS, *range(26, 43, 2))
    assert dataclasses.astuple(total) == twice
    assert total.less(one) == one


def test_what_was_touched_is_taken_once_and_again_where_a_push_failed() -> None:
    counters = Counters()
    counters.of(CELL, "a", "a")
    touched = counters.take_touched()
    assert touched == [(CELL, "a", "a")]
    assert counters.take_touched() == []
    counters.touch_again(touched)
    assert counters.take_touched() == touched


def test_cells_beyond_the_bound_are_counted_under_their_class_and_payer() -> None:
    counters = Counters(counted_max=2)
    for i in range(5):
        counters.of(CELL._replace(domain=f"d{i}"), "a", "a").decided += 1
    assert counters.get(Leg(CELL._replace(domain="d1"), "a", "a")).decided == 1
    assert counters.get(Leg(Cell("chat", "-", OVERFLOW, OVERFLOW), "a", "a")).decided == 3
    counters.of(CELL._replace(domain="d0"), "a", "a").decided += 1
    assert counters.get(Leg(CELL._replace(domain="d0"), "a", "a")).decided == 2


def test_refusals_are_counted_by_reason() -> None:
    counters = Counters()
    for reason in ("A", "B", "A"):
        counters.count_refusal(reason)
    assert dict(counters.refusals()) == {"A": 2, "B": 1}


def test_reasons_beyond_the_bound_are_counted_together() -> None:
    counters = Counters()
    for i in range(REASONS_MAX + 5):
        counters.count_refusal(f"R{i}")
    counters.count_refusal("R0")
    refusals = dict(counters.refusals())
    assert len(refusals) == REASONS_MAX + 1
    assert refusals[OVERFLOW] == 5
    assert refusals["R0"] == 2


def test_touched_counts_can_be_taken_a_few_at_a_time() -> None:
    counters = Counters()
    keys = {Leg(Cell("code", "-", "other", f"s{i}"), "small", "small") for i in range(5)}
    for leg in keys:
        counters.of(*leg)
    taken = [counters.take_touched(2) for _ in range(4)]
    assert [len(some) for some in taken] == [2, 2, 1, 0]
    assert {key for some in taken for key in some} == keys


def test_a_shed_request_is_counted_for_its_cell_and_for_no_model() -> None:
    counters = Counters()
    counters.count_shed(CELL)
    counters.count_shed(CELL)
    assert counters.take_touched() == [Leg(CELL, NO_MODEL, NO_MODEL)]
    assert counters.get(Leg(CELL, NO_MODEL, NO_MODEL)) == Counts(shed=2)


def test_all_that_was_ever_counted_can_be_pushed_again() -> None:
    counters = Counters()
    counters.of(CELL, "a", "a")
    counters.take_touched()
    counters.of(CELL, "b", "b")
    counters.touch_all()
    assert {leg.model for leg in counters.take_touched()} == {"a", "b"}


def test_counts_come_back_from_their_plain_form() -> None:
    counts = Counts(decided=3, busy_s=0.1, cost_nano_usd=2**62)
    counts.latency_counts[63] = 5
    plain = json.loads(json.dumps(counts.to_plain()))
    assert Counts.from_plain(plain) == counts
    assert plain.keys() == {"decided", "busy_s", "cost_nano_usd", "latency_counts"}


@pytest.mark.parametrize(
    "plain",
    [{}, {"latency_counts": [[64, 1]]}, {"latency_counts": [], "other": 1}, {"latency_counts": 5}],
)
def test_what_are_no_counts_is_refused(plain: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, LookupError, AttributeError)):
        Counts.from_plain(plain)


def test_the_lesser_of_two_counts_is_taken_field_by_field() -> None:
    one, other = Counts(decided=3, cost_nano_usd=5), Counts(decided=4, cost_nano_usd=2)
    assert one.least(other) == Counts(decided=3, cost_nano_usd=2)
