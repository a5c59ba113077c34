# ruff: noqa: RUF001 - letters of other scripts are meant
"""Any text of any size is read, and only its ends."""

import pytest

from server.config.classes import ClassConfig, DomainConfig
from server.config.match import KeywordsConfig, MatchConfig
from server.routing.catalog import compile_catalog
from server.routing.query import Query
from server.routing.reading.classifier import Classifier
from tests.server.routing.configs import config

SIZE = 10_000_000

# What a text is made of, again and again.
PIECES = {
    "one letter": "a",
    "white space": " ",
    "line breaks": "\n",
    "a keyword without end": "law",
    "keywords": "law ",
    "beginnings of a keyword": "aaaaaaab",
    "combining characters": "\u0301",
    "one long word of accents": "e\u0301",
    "right to left": "שלום \u202e",
    "mixed scripts": "aбγא漢あ한ก",
    "surrogate pairs": "😀👨‍👩‍👧",
    "what grows when its case is folded": "ﬃßŉ",
    "question marks": "?",
    "brackets": "{[(",
    "separators": ",|\t\n",
    "quotes": '":',
    "digits": "0123456789",
    "nulls": "\0",
}


@pytest.fixture(params=PIECES.values(), ids=list(PIECES))
def text(request: pytest.FixtureRequest) -> str:
    piece: str = request.param
    return piece * (SIZE // len(piece))


def everything_asked() -> Classifier:
    match = MatchConfig(
        keywords=KeywordsConfig(any_of=("law", "aaaaaaaa", "tax law", "ß", "c++")),
        structures=("json", "code", "table", "mathematics", "list", "question", "instruction"),
        languages=("en", "zh"),
        code_languages=("python",),
        scripts=("latin", "han"),
    )
    blocks = tuple(MatchConfig(**{key: value}) for key, value in match if value)
    given = config(
        classes=(
            ClassConfig(name="all", match=match),
            ClassConfig(name="rest", default=True),
        ),
        domains=tuple(DomainConfig(name=f"d{i}", match=block) for i, block in enumerate(blocks)),
    )
    return Classifier(given, compile_catalog(given))


def test_ten_million_characters_are_read(text: str) -> None:
    reading = everything_asked().read(Query(text=text, earlier=text))
    assert reading.cell.traffic_class in ("all", "rest")
    assert reading.input_tokens > 0


def test_what_stands_in_the_middle_of_a_long_text_changes_nothing(text: str) -> None:
    reader = everything_asked()
    half = len(text) // 2
    other = f"{text[:half]} tax law {{}} ? {text[half:]}"
    assert reader.read(Query(text=text)).cell[:3] == reader.read(Query(text=other)).cell[:3]
