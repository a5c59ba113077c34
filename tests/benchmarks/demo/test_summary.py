"""The tables that the demo prints."""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rich.console import Console

from benchmarks.demo.configuration import SLO
from benchmarks.demo.load import Served
from benchmarks.demo.models import Measured, Study
from benchmarks.demo.promises import Interval
from benchmarks.demo.stage import Result
from benchmarks.demo.summary import print_models, print_results, total
from benchmarks.demo.tally import Tally
from tests.benchmarks.demo.test_tally import served

STUDY = Study(
    measured={
        "quick": Measured(accuracy=0.871, graded=600, cpu_s=0.00036),
        "good": Measured(accuracy=0.99, graded=600, cpu_s=0.0036),
    },
    best="good",
    best_is_right=np.array([True]),
)
BULK = Tally(
    traffic_class="bulk",
    floor=0.92,
    requests=720,
    refused=41,
    accuracy=Interval(0.905, 0.931, 0.95),
    best_accuracy=0.989,
    within_slo=Interval(0.98, 0.999, 1.0),
    cost=Interval(0.06, 0.061, 0.062),
    slo=SLO,
)
KEPT = Result("1: the mix", (BULK,), ("raising the floor costs $3.10 a day",), (), ())
BROKEN = Result("2: a floor", (), (), (), ("the mix of bulk follows its floor, within 20 s",))


def printed(*results: Result, answers: Sequence[Served] = ()) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_results(console, results, STUDY.best, total(answers, STUDY))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_model_is_shown_with_its_accuracy_and_its_price() -> None:
    console = Console(file=io.StringIO(), width=100)
    print_models(console, STUDY)
    assert isinstance(console.file, io.StringIO)
    [row] = [line for line in console.file.getvalue().splitlines() if "quick" in line]
    assert row.split() == ["quick", "87.1%", "0.36", "ms", "$0.10"]


def test_a_row_of_an_act_fits_on_one_line() -> None:
    [row] = [line for line in printed(KEPT).splitlines() if "720" in line]
    assert row.split("  ")[1] == "1"
    for cell in ("bulk", "  41  ", "93.1% [90.5, 95.0]", "92.0%", "99.9%", "6.1%", "98.9%"):
        assert cell in row


def test_the_widest_row_fits_on_one_line() -> None:
    sure = Interval(0.959, 1.0, 1.0)
    text = printed(replace(KEPT, tallies=(replace(BULK, accuracy=sure, within_slo=sure),)))
    [row] = [line for line in text.splitlines() if "720" in line]
    assert "100.0% [95.9, 100.0]" in row


def test_the_plans_own_sentences_stand_under_their_act() -> None:
    assert "Act 1: the mix\n  raising the floor costs $3.10 a day\n" in printed(KEPT)


def test_refusals_are_counted_with_what_they_say() -> None:
    text = printed(replace(KEPT, refusals=("SHED", "class bulk: capacity of svc is used up")))
    assert "2 were refused, the last with these words:\n  class bulk: capacity of svc" in text


def test_what_was_paid_stands_beside_what_single_models_would_have_asked() -> None:
    text = printed(KEPT, answers=[served(cost=50), served(cost=150)])
    assert "2 requests were answered for $0.00000;" in text
    assert "always good would have asked $0.00000, 10.0 times as much;" in text
    assert "10.0 times as much\n(the cheapest that held every floor alone" in text


def test_that_nothing_was_broken_is_said() -> None:
    text = printed(KEPT)
    assert text.endswith("No promise was broken beyond what chance allows.\n")
    assert "short:" not in text


def test_a_floor_that_only_the_interval_reaches_is_said_to_be_short() -> None:
    short = replace(BULK, accuracy=Interval(0.89, 0.91, 0.93))
    text = printed(replace(KEPT, tallies=(short,)))
    assert "short: Act 1: bulk was 91.0% right, its floor is 92.0%" in text


def test_what_was_broken_is_said_with_its_act() -> None:
    text = printed(KEPT, BROKEN)
    assert "BROKEN: Act 2: the mix of bulk follows its floor, within 20 s" in text
    assert "No promise was broken" not in text
