"""Lines of prose that a person can read beside each other, as a diff shows them."""

import pytest

from tests.pages.reading import name_of, pages, prose

CHARS_MAX = 120
PAGES = {name_of(page): page.read_text() for page in pages() if name_of(page) != "CHANGELOG.md"}


def long_lines(text: str) -> list[int]:
    return [number for number, line in prose(text) if len(line) > CHARS_MAX]


@pytest.mark.parametrize("page", PAGES)
def test_lines_of_prose_are_short(page: str) -> None:
    assert long_lines(PAGES[page]) == []


def test_lines_of_code_and_of_tables_may_be_long() -> None:
    long = "word " * 30
    text = f"{long}\n\n```sh\n{long}\n```\n\n| a |\n|---|\n| {long} |\n\n- {long}\n"
    assert long_lines(text) == [1, 11]
