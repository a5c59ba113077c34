"""How a text is laid out: as an object of JSON, as a table, as a list."""

from collections.abc import Sequence
from itertools import pairwise

# As many lines show it.
_LINES_READ = 24
_ROWS_MIN = 3
_ITEMS_MIN = 2
_BULLETS = ("- ", "* ", "• ", "· ")
_NUMBER_ENDS = (".", ")")


NAMES = frozenset({"json", "table", "list"})


def names(sample: str) -> list[str]:
    """Those that hold of the text."""
    held = []
    if ("{" in sample and '":' in sample) or "```json" in sample:
        held.append("json")
    if "\n" in sample:
        lines = sample.split("\n", _LINES_READ)[:_LINES_READ]
        if _is_table(lines):
            held.append("table")
        if _is_list(lines):
            held.append("list")
    return held


def _is_table(lines: Sequence[str]) -> bool:
    """Lines in a row have as many columns, and more than two."""
    if len(lines) < _ROWS_MIN:
        return False
    # A comma of prose has a space after it.
    return (
        _alike([line.count("|") for line in lines])
        or _alike([line.count("\t") for line in lines])
        or _alike([line.count(",") - line.count(", ") for line in lines])
    )


def _alike(separators: Sequence[int]) -> bool:
    alike = 1
    for before, after in pairwise(separators):
        alike = alike + 1 if after == before and after > 1 else 1
        if alike == _ROWS_MIN:
            return True
    return False


def _is_list(lines: Sequence[str]) -> bool:
    """Some lines begin with a bullet, or with a number."""
    items = 0
    for line in lines:
        begun = line.lstrip()[:3]
        if begun.startswith(_BULLETS) or (begun[:1].isdigit() and begun[1:2] in _NUMBER_ENDS):
            items += 1
    return items >= _ITEMS_MIN
