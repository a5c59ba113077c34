"""What is said beside an answer, as headers can have it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.door.answers import REASON_CHARS_MAX, usd, visible
from server.door.streaming import comment


@pytest.mark.parametrize(
    ("nano_usd", "text"),
    [(0, "0"), (1, "0.000000001"), (12_000, "0.000012"), (10**9, "1"), (1_500_000_000, "1.5")],
)
def test_dollars_are_exact_and_have_no_exponent(nano_usd: int, text: str) -> None:
    assert usd(nano_usd) == text


@given(st.text(max_size=2 * REASON_CHARS_MAX))
def test_any_text_becomes_one_that_a_header_can_have(text: str) -> None:
    shown = visible(text)
    assert shown.isascii()
    assert shown == "" or shown.isprintable()
    assert len(shown) <= REASON_CHARS_MAX


def test_what_prints_stays_as_it_is() -> None:
    assert visible("plan p1 gives small 50%") == "plan p1 gives small 50%"
    assert visible("a\r\nset-cookie: b=\u00e9") == "a??set-cookie: b=?"


def test_a_comment_is_one_line_that_clients_pass_over() -> None:
    assert comment({"x-turnout-cost-usd": "0.1"}) == b": x-turnout-cost-usd=0.1\n\n"
