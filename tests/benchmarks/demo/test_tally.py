"""What is counted of a class in an act."""

import numpy as np
import pytest

from benchmarks.demo.configuration import SLO
from benchmarks.demo.load import Arrival, Served
from benchmarks.demo.models import Measured, Study
from benchmarks.demo.tally import tallies
from turnout import Answer, Cell, Reason, Target, Usage

STUDY = Study(
    measured={"best": Measured(accuracy=0.99, graded=600, cpu_s=0.0036)},  # 1,000 nano-dollars
    best="best",
    best_is_right=np.array([True, False]),
)
FLOORS = {"bulk": 0.9, "strict": 0.97}


def answer(cost_nano_usd: int) -> Answer:
    return Answer(
        decision_id="d",
        plan_id="p",
        cell=Cell(traffic_class="bulk", payer="-", domain="other", size_bucket="s0"),
        target=Target(model="svc", version="1", endpoint="127.0.0.1:1"),
        reason=Reason(rule="bulk", basis="plan", text=""),
        report_wanted=False,
        request_id="",
        oip_response=b"",
        usage=Usage(input_tokens=0, output_tokens=0, latency_s=0.0),
        cost_nano_usd=cost_nano_usd,
        attempts=1,
    )


def served(
    *,
    traffic_class: str = "bulk",
    right: bool = True,
    latency_s: float = 0.01,
    cost: int = 100,
    item: int = 0,
) -> Served:
    arrival = Arrival(0.0, traffic_class, item)
    return Served(arrival, latency_s, answer(cost), right, failure="")


FAILED = Served(Arrival(0.0, "bulk", 0), 0.01, None, False, failure="lost")
SHED = Served(Arrival(0.0, "bulk", 0), 0.01, None, False, failure="SHED: full", is_shed=True)


def test_a_class_without_an_answer_has_no_row() -> None:
    assert tallies([FAILED], FLOORS, STUDY, SLO, 0.95) == ()


def test_classes_are_counted_apart() -> None:
    rows = [served(), served(traffic_class="strict", right=False)]
    bulk, strict = tallies(rows, FLOORS, STUDY, SLO, 0.95)
    assert (bulk.accuracy.mean, strict.accuracy.mean) == (1, 0)
    assert (bulk.floor, strict.floor) == (0.9, 0.97)


def test_always_best_is_judged_on_the_same_images() -> None:
    [bulk] = tallies([served(item=0), served(item=1), served(item=1)], FLOORS, STUDY, SLO, 0.95)
    assert bulk.best_accuracy == pytest.approx(1 / 3)


def test_the_cost_is_a_fraction_of_always_best() -> None:
    [bulk] = tallies([served(cost=100), served(cost=300)], FLOORS, STUDY, SLO, 0.95)
    assert bulk.cost.mean == pytest.approx(0.2)


def test_a_failure_misses_the_slo_and_is_no_wrong_answer() -> None:
    [bulk] = tallies([served(), FAILED], FLOORS, STUDY, SLO, 0.95)
    assert (bulk.requests, bulk.within_slo.mean, bulk.accuracy.mean) == (2, 0.5, 1)


def test_a_refusal_is_counted_apart_and_misses_no_slo() -> None:
    [bulk] = tallies([served(), SHED, SHED], FLOORS, STUDY, SLO, 0.95)
    assert (bulk.requests, bulk.refused, bulk.within_slo.mean) == (3, 2, 1)


def test_a_late_answer_misses_the_slo() -> None:
    late = [served(latency_s=SLO.ms / 1000 + by_s) for by_s in (0.0, 0.001)]
    [bulk] = tallies(late, FLOORS, STUDY, SLO, 0.95)
    assert bulk.within_slo.mean == 0.5


def test_a_class_that_keeps_everything_broke_nothing() -> None:
    [bulk] = tallies([served(cost=100 + i % 2) for i in range(200)], FLOORS, STUDY, SLO, 0.95)
    assert bulk.broken == ()
    assert bulk.is_cheaper


@pytest.mark.parametrize(
    ("row", "promise"),
    [
        (served(right=False), "the floor of bulk"),
        (served(latency_s=0.6), "the SLO of bulk"),
    ],
)
def test_what_the_sample_rules_out_is_broken(row: Served, promise: str) -> None:
    [bulk] = tallies([row] * 200, FLOORS, STUDY, SLO, 0.95)
    assert bulk.broken == (promise,)


def test_what_costs_as_much_as_always_best_is_not_cheaper() -> None:
    [bulk] = tallies([served(cost=1000)] * 200, FLOORS, STUDY, SLO, 0.95)
    assert not bulk.is_cheaper


def test_a_small_sample_below_the_floor_breaks_nothing() -> None:
    rows = [served(right=i > 1, cost=100 + i) for i in range(10)]  # 8 of 10
    [bulk] = tallies(rows, FLOORS, STUDY, SLO, 0.95)
    assert bulk.broken == ()
