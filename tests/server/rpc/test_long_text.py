"""Of a long text the ends are decoded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.rpc.long_text import TEXT_BYTES_MAX, LongText, decode_text

HALF = TEXT_BYTES_MAX // 2


def decoded(text: str | bytes) -> LongText:
    return decode_text(memoryview(text if isinstance(text, bytes) else text.encode()))


@given(st.text(st.characters(codec="utf-8")))
def test_a_text_is_what_was_sent(text: str) -> None:
    assert decoded(text) == LongText(text, 0)


def test_a_text_of_as_much_as_is_decoded_is_whole() -> None:
    text = HALF * "ab"
    assert decoded(text) == LongText(text, 0)


def test_of_a_longer_text_the_ends_are_decoded_and_the_rest_is_counted() -> None:
    text = HALF * "a" + 400 * "b" + HALF * "c"
    assert decoded(text) == LongText(HALF * "a" + "\n" + HALF * "c", 100)


@pytest.mark.parametrize("before", range(4))
def test_no_character_is_cut_in_two(before: int) -> None:
    text, _ = decoded(before * "x" + "\U0001f600" * HALF)
    assert set(text.replace("x", "")) == {"\U0001f600", "\n"}


@pytest.mark.parametrize("place", [0, HALF - 9, -9, -1])
def test_an_end_that_is_no_text_is_refused(place: int) -> None:
    data = bytearray(b"x" * 3 * TEXT_BYTES_MAX)
    data[place] = 0xFF
    with pytest.raises(UnicodeDecodeError):
        decoded(bytes(data))


def test_what_lies_between_is_not_looked_at() -> None:
    data = b"x" * TEXT_BYTES_MAX + b"\xff" + b"x" * TEXT_BYTES_MAX
    assert decoded(data).more_tokens == (TEXT_BYTES_MAX + 1) // 4


def test_what_only_goes_on_where_the_ends_are_cut_is_no_text() -> None:
    with pytest.raises(UnicodeDecodeError):
        decoded(b"x" * (HALF - 1) + b"\x80" * TEXT_BYTES_MAX + b"x" * HALF)
