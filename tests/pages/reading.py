"""The pages of this repository, and what of them is code."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
_PARSER = MarkdownIt("commonmark").enable("table")


class Block(NamedTuple):
    """A fenced block."""

    page: str
    line: int  # of its fence
    language: str
    marks: tuple[str, ...]  # what else stands on the fence
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


class Span(NamedTuple):
    """Code within a sentence."""

    page: str
    line: int  # of its paragraph
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """All that people read, but for what is generated."""
    folders = [ROOT.glob("*.md"), *((ROOT / name).glob("**/*.md") for name in ("docs", "clients"))]
    return sorted(page for folder in folders for page in folder)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: str, text: str) -> Iterator[Block]:
    """Those that are fenced, with what their fence says."""
    for token in _PARSER.parse(text):
        if token.type == "fence":
            language, *marks = token.info.split() or [""]
            yield Block(page, _line(token), language, tuple(marks), token.content)


def spans(page: str, text: str) -> Iterator[Span]:
    """Each `...` of its prose and tables."""
    for token in _PARSER.parse(text):
        for child in token.children or ():
            if child.type == "code_inline":
                yield Span(page, _line(token), child.content)


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Its lines with their numbers, without those of code and of tables."""
    other: set[int] = set()
    for token in _PARSER.parse(text):
        if token.type in ("fence", "code_block", "table_open", "html_block") and token.map:
            other.update(range(*token.map))
    for number, line in enumerate(text.splitlines()):
        if number not in other:
            yield number + 1, line


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0
