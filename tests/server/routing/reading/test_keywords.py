"""Keywords: every text is searched as if character by character, however it is done."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.config.words import folded, stands_in
from server.routing.reading.keywords import Keywords

PIECES = ["tax", "Law", "law2", "c++", "24/7", "-", "_", ".", ",", " ", "\n", "\t", "  ", "é", "ß"]
KEYWORDS = ("tax", "law", "tax law", "Tax  Law", "c++", "24/7", ".", "law2", "é", "strasse", " ")
texts = st.lists(st.sampled_from(PIECES)).map("".join)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tax law", {"tax", "law", "tax law"}),
        ("TAX\nLAW", {"tax", "law", "tax law"}),
        ("tax\r\nlaw", {"tax", "law", "tax law"}),
        ("tax, law", {"tax", "law"}),
        ("tax-law", {"tax", "law"}),
        ("tax  law", {"tax", "law"}),
        ("tax law; tax, law", {"tax", "law", "tax law"}),
        ("syntax law", {"law"}),
        ("c++ at 24/7", {"c++", "24/7"}),
        ("", set()),
    ],
)
@pytest.mark.parametrize("ending", ["", " …"])
def test_words_and_phrases_are_found_in_ascii_and_other_texts_alike(
    text: str, found: set[str], ending: str
) -> None:
    keywords = Keywords(("tax", "law", "Tax  Law", "c++", "24/7"))
    assert keywords.find(text + ending) == found


def test_a_blank_keyword_is_never_found() -> None:
    assert Keywords(("", " ")).find("a b") == frozenset()


@given(text=texts, keywords=st.lists(st.sampled_from(KEYWORDS)))
@settings(max_examples=300)
def test_what_is_found_stands_in_the_text_alone(text: str, keywords: list[str]) -> None:
    line = text.casefold().replace("\n", " ").replace("\t", " ")
    expected = {word for word in map(folded, keywords) if word and stands_in(word, line)}
    assert Keywords(keywords).find(text) == expected


@given(st.text(), st.lists(st.text(max_size=5)))
def test_any_text_is_searched_for_any_keywords(text: str, keywords: list[str]) -> None:
    assert Keywords(keywords).find(text) <= set(map(folded, keywords))
