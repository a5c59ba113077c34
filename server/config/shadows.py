"""Rules that never get a request, for another that is tried before them takes all of theirs.

Such a class can still be named by callers, so this is a warning. It is found where one block covers
another by itself; what several take together is not.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from server.config.classes import ClassConfig, DomainConfig
from server.config.diagnostics import Findings, Path
from server.config.match import (
    KeywordsConfig,
    MatchConfig,
    RangeConfig,
    TensorsConfig,
    alternatives,
)
from server.config.schema import Config
from server.config.words import folded, stands_in

# Blocks of one section that are compared with each other: half a second of `turnout check`.
_COMPARED_MAX = 1_500


_Entries = Sequence[ClassConfig | DomainConfig]


class _Block(NamedTuple):
    entry: int
    alternative: int  # of a list
    name: str
    match: MatchConfig


def shadows(config: Config) -> Findings:
    """A warning for each rule, or block of one, that never gets a request."""
    yield from _of_section("classes", "class", config.classes)
    yield from _of_section("domains", "domain", config.domains)


def _of_section(section: str, word: str, entries: _Entries) -> Findings:
    tried: list[_Block] = []
    for block in _blocks(entries):
        before = next((b for b in tried if covers(b.match, block.match)), None)
        if before is None:
            tried.append(block)
            continue
        at: Path = (section, block.entry, "match")
        if isinstance(entries[block.entry].match, tuple):
            at = (*at, block.alternative)
        yield at, _message(word, before, block)


def _blocks(entries: _Entries) -> Iterator[_Block]:
    count = 0
    for i, entry in enumerate(entries):
        for j, match in enumerate(alternatives(entry.match)):
            if count == _COMPARED_MAX:
                return
            count += 1
            yield _Block(i, j, entry.name, match)


def _message(word: str, before: _Block, block: _Block) -> str:
    if before.entry == block.entry:
        return "adds nothing: another block of this rule matches all that it would"
    if covers(block.match, before.match):
        return f"never gets a request: {word} {before.name!r} has the same rule and comes before it"
    return (
        f"never gets a request: {word} {before.name!r} comes before it and takes all that it "
        f"would; move it before {before.name!r}"
    )


def covers(wide: MatchConfig, narrow: MatchConfig) -> bool:
    """Every request that matches the narrow block matches the wide one too."""
    return (
        all(_allows(getattr(wide, key), getattr(narrow, key)) for key in _LISTS)
        and _structures(wide, narrow)
        and all(_spans(getattr(wide, key), getattr(narrow, key)) for key in _RANGES)
        and all(_holds_entries(getattr(wide, k), getattr(narrow, k)) for k in _ENTRIES)
        and wide.tools in (None, narrow.tools)
        and _tensors(wide.tensors, narrow.tensors)
        and _keywords(wide.keywords, narrow.keywords)
    )


_LISTS = (
    "tenant", "user", "response_format", "code_languages", "languages", "scripts", "domains",
    "intents",
)  # fmt: skip
_RANGES = ("priority", "messages", "input_tokens")
_ENTRIES = ("labels", "metadata")


def _allows(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    """None given allows all."""
    return not wide or (bool(narrow) and set(narrow) <= set(wide))


def _structures(wide: MatchConfig, narrow: MatchConfig) -> bool:
    # Where the language of code is known there is code.
    is_code = bool(narrow.code_languages) and "code" in wide.structures
    return is_code or _allows(wide.structures, narrow.structures)


def _spans(wide: RangeConfig | None, narrow: RangeConfig | None) -> bool:
    wide, narrow = wide or RangeConfig(), narrow or RangeConfig()
    above = wide.min is None or (narrow.min is not None and narrow.min >= wide.min)
    below = wide.max is None or (narrow.max is not None and narrow.max <= wide.max)
    return above and below


def _holds_entries(
    wide: Mapping[str, tuple[str, ...]], narrow: Mapping[str, tuple[str, ...]]
) -> bool:
    return all(key in narrow and set(narrow[key]) <= set(wide[key]) for key in wide)


def _tensors(wide: TensorsConfig | None, narrow: TensorsConfig | None) -> bool:
    if wide is None:
        return True
    narrow = narrow or TensorsConfig()
    return (
        _allows(wide.names, narrow.names)
        and _allows(wide.datatypes, narrow.datatypes)
        and _spans(wide.elements, narrow.elements)
    )


def _keywords(wide: KeywordsConfig | None, narrow: KeywordsConfig | None) -> bool:
    """What the narrow block finds, or does not find, decides what the wide one does."""
    if wide is None:
        return True
    narrow = narrow or KeywordsConfig()
    return (
        (not wide.any_of or _has_one(wide.any_of, narrow))
        and all(_has_one((word,), narrow) for word in wide.all_of)
        and all(_lacks(word, narrow.none_of) for word in wide.none_of)
    )


def _has_one(words: Sequence[str], narrow: KeywordsConfig) -> bool:
    """A text that matches the narrow block has one of the words."""
    by_all = any(_has(phrase, words) for phrase in narrow.all_of)
    by_any = bool(narrow.any_of) and all(_has(phrase, words) for phrase in narrow.any_of)
    return by_all or by_any


def _has(phrase: str, words: Sequence[str]) -> bool:
    return any(stands_in(folded(word), folded(phrase)) for word in words)


def _lacks(word: str, absent: Sequence[str]) -> bool:
    return any(stands_in(folded(part), folded(word)) for part in absent)
