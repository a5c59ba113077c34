import pytest

from server.cli.figures import estimate, percent, rate
from turnout.v1 import admin_pb2 as pb


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0, "0.0%"),
        (0.0001, "<0.1%"),
        (0.0005, "0.1%"),
        (0.897, "89.7%"),
        (0.9994, "99.9%"),
        (0.9996, ">99.9%"),
        (1, "100.0%"),
    ],
)
def test_a_fraction_never_reads_as_none_or_all_where_it_is_not(fraction: float, text: str) -> None:
    assert percent(fraction) == text


@pytest.mark.parametrize(
    ("requests_per_s", "text"), [(0, "0"), (0.04, "0.04"), (12.34, "12.3"), (3_004.2, "3,004")]
)
def test_a_rate_has_three_digits_that_say_something(requests_per_s: float, text: str) -> None:
    assert rate(requests_per_s) == text


def test_an_estimate_is_shown_with_its_interval() -> None:
    assert estimate(pb.Estimate(mean=0.897, low=0.881, high=0.912)) == "89.7% (88.1-91.2)"
