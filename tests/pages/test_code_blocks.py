"""What a page shows as code is what it says: it parses, and what it names exists."""

from pathlib import Path

import pytest

from tests.pages.checks import problems
from tests.pages.inline import span_problems
from tests.pages.reading import Block, blocks, name_of, pages, spans

PAGES = {name_of(page): page.read_text() for page in pages()}
BLOCKS = [block for name, text in PAGES.items() for block in blocks(name, text)]
SPANS = [span for name, text in PAGES.items() for span in spans(name, text)]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_of_code_is_what_its_fence_says(block: Block, tmp_path: Path) -> None:
    assert problems(block, tmp_path) == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_within_sentences_exist(page: str) -> None:
    found = [span_problems(span) for span in SPANS if span.page == page]
    assert [problem for each in found for problem in each] == []
