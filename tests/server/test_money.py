"""Amounts in dollars and in nano-dollars: what is counted, what is charged, what people read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.money import NANO_USD_MAX, charged_nano_usd, per_day, to_nano_usd, to_usd, usd


@pytest.mark.parametrize(
    ("nano_usd", "text"),
    [
        (0, "$0.00"),
        (1, "$0.0000000010"),
        (4_200, "$0.0000042"),
        (210_000, "$0.00021"),
        (31_000_000, "$0.031"),
        (400_000_000, "$0.40"),
        (999_000_000, "$1.00"),
        (3_100_000_000, "$3.10"),
        (-3_100_000_000, "-$3.10"),
        (999_990_000_000, "$999.99"),
        (12_345_678_000_000, "$12,346"),
        (9_000_000_000_000_000_000, "$9,000,000,000"),
    ],
)
def test_money_is_readable_from_micro_dollars_to_billions(nano_usd: int, text: str) -> None:
    assert usd(nano_usd) == text


@pytest.mark.parametrize(
    ("usd", "nano_usd"), [(0, 0), (1.01e-9, 2), (1.9e-9, 2), (0.0011, 1_100_000), (3, 3 * 10**9)]
)
def test_a_charge_is_rounded_up_to_a_nano_dollar(usd: float, nano_usd: int) -> None:
    assert charged_nano_usd(usd) == nano_usd


def test_a_charge_fits_in_64_bits() -> None:
    assert charged_nano_usd(1e18) == NANO_USD_MAX


@given(st.integers(0, 10**15))
def test_an_amount_in_dollars_is_the_same_in_nano_dollars(nano_usd: int) -> None:
    assert to_nano_usd(to_usd(nano_usd)) == nano_usd


def test_what_a_window_costs_is_told_by_the_day() -> None:
    assert per_day(1_000, 5.0) == 17_280_000
