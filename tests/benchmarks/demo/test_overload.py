"""What is judged of overload."""

import pytest

from benchmarks.demo.load import Arrival, Served
from benchmarks.demo.overload import CAPACITY_PER_S, TIMES, ruled_out
from tests.benchmarks.demo.test_tally import served

WATCHED_S = 12.0
FITS = int(CAPACITY_PER_S * WATCHED_S)
CONFIDENCE = 0.998
NAMED = "class bulk: capacity of svc-2-small is used up, so 0.87 of it is refused"


def shed(count: int, failure: str = NAMED) -> list[Served]:
    return [Served(Arrival(0.0, "bulk", 0), 0.001, None, False, failure, is_shed=True)] * count


def judged(*rows: list[Served]) -> list[str]:
    return ruled_out([one for some in rows for one in some], WATCHED_S, CONFIDENCE)


def in_time(count: int) -> list[Served]:
    return [served()] * count


REST = int((TIMES - 1) * FITS)


def test_what_fits_is_answered_and_the_rest_is_refused() -> None:
    assert judged(in_time(FITS), shed(REST)) == []


@pytest.mark.parametrize(
    ("rows", "promise"),
    [
        ([in_time(FITS), shed(REST // 2)], "3 times as much comes"),
        ([in_time(FITS // 2), shed(REST + FITS)], "what fits is answered in time"),
        (
            [in_time(FITS // 2), [served(latency_s=0.6)] * FITS, shed(REST)],
            "what fits is answered in time",
        ),
        ([in_time(FITS + REST)], "the rest of bulk is refused"),
        (
            [in_time(FITS), shed(REST), shed(2, "SHED: full")],
            "each refusal names the capacity of svc-2-small: 2 do not",
        ),
    ],
)
def test_what_the_samples_rule_out_is_said(rows: list[list[Served]], promise: str) -> None:
    assert judged(*rows) == [promise]
