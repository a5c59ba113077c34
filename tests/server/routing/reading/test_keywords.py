"""Keywords: every text is searched as if character by character, however it is done."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.config.words import folded, stands_in
from server.routing.reading.keywords import SCANNED_CHARS, Keywords
from server.routing.reading.word_scan import WordScan

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


LONG_PIECES = [
    *("tax", "Law", "tax law", "contrac", "contract", "Contracts", "contractor", "contract law"),
    *("a", "b2", ",", "-", "\n", "tax, law", "contractlaw", "taxlaw"),
]


@given(
    st.lists(st.sampled_from(LONG_PIECES)),
    st.sets(st.sampled_from([piece for piece in LONG_PIECES if piece[0].isalpha()])),
    st.integers(0, 9),
)
@settings(max_examples=300)
def test_a_long_text_has_the_keywords_that_its_parts_have(
    pieces: list[str], known: set[str], spaces: int
) -> None:
    text = " ".join(pieces)
    keywords = Keywords(known)
    assert keywords.find(" " * spaces + text + " " * SCANNED_CHARS) == keywords.find(text)
    assert keywords.find("x" * SCANNED_CHARS + " " + text) == keywords.find(text)


@pytest.mark.parametrize("text", ["how ", "how to ", "internat "])
def test_a_text_whose_words_begin_many_keywords_is_not_compared_with_each(text: str) -> None:
    words = [f"how to w{number}" for number in range(100)]
    words += [f"internat{number}" for number in range(100)]
    assert WordScan(words).find(f" {text * 5_000}".encode()) is None
    assert Keywords(words).find(text * 5_000 + "how to w7") == {"how to w7"}


def test_thousands_of_keywords_are_found_in_a_long_text() -> None:
    words = [f"w{number}" for number in range(0, 200_000, 20)]
    assert Keywords(words).find(" ".join(words)) == set(words)


@pytest.mark.parametrize("text", ["a" * 100_000, " " * 100_000, "a " * 50_000, "contract" * 9_999])
def test_a_long_text_may_be_one_word_or_none(text: str) -> None:
    assert Keywords(["tax", "contract", "contract law"]).find(text) == set()
    assert Keywords(["tax", "contract law"]).find(text + " tax") == {"tax"}


@given(st.text(), st.lists(st.text(max_size=5)))
def test_any_text_is_searched_for_any_keywords(text: str, keywords: list[str]) -> None:
    assert Keywords(keywords).find(text) <= set(map(folded, keywords))
