"""Reads a request: its class by the rules, its domain, size and payer, which make its cell."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from unicodedata import category

import ahocorasick

from server.config import Config, KeywordsConfig, MatchConfig, RangeConfig
from server.routing.catalog import Catalog, Cell
from server.routing.errors import NoClass, UnknownClass, UnknownDomain
from server.routing.query import Query

OTHER_DOMAIN = "other"
# The first and last this many characters are read: work is bounded whatever is sent.
READ_CHARS = 8_192
# Unicode's categories: accents, and what words are made of. Letters without case are not among it,
# for Chinese or Thai does not part words by spaces, and Korean or Hebrew joins particles to them.
_MARKS = frozenset({"Mn", "Mc", "Me"})
_OF_WORDS = _MARKS | {"Ll", "Lu", "Lt", "Nd", "Nl", "No"}
# English text has about four characters a token; a caller who knows better says so.
CHARS_PER_TOKEN = 4

Found = frozenset[str]
Check = Callable[[Query, int, Found], bool]  # the request, its input tokens, the keywords in it


class Reading(NamedTuple):
    """What was read: the cell, what made the class, and the size it was put in by."""

    cell: Cell
    rule: str
    input_tokens: int


class Rule(NamedTuple):
    """A match rule, compiled; every check has to hold."""

    name: str
    checks: tuple[Check, ...]

    def matches(self, query: Query, input_tokens: int, found: Found) -> bool:
        for check in self.checks:  # noqa: SIM110 - all() with a generator takes twice as long
            if not check(query, input_tokens, found):
                return False
        return True


class Classifier:
    """One configuration's rules. Replaced whole when the configuration changes."""

    def __init__(self, config: Config, catalog: Catalog) -> None:
        self._catalog = catalog
        self._classes = [_compile(c.name, c.match) for c in config.classes if c.match is not None]
        self._default = next((c.name for c in config.classes if c.default), None)
        self._domain_names = {d.name for d in config.domains} | {OTHER_DOMAIN}
        self._domains = [_compile(d.name, d.match) for d in config.domains if d.match is not None]
        self._sizes = config.size_buckets_tokens
        self._size_names = tuple(f"s{i}" for i in range(len(config.size_buckets_tokens) + 1))
        self._keywords = _Keywords(
            match
            for match in (*(c.match for c in config.classes), *(d.match for d in config.domains))
            if match is not None
        )

    def read(self, query: Query) -> Reading:
        """The cell of a request; raises UnknownClass, UnknownDomain or NoClass."""
        tokens = query.input_tokens
        if tokens is None:
            tokens = len(query.text) // CHARS_PER_TOKEN
        found = self._keywords.find(query.text)
        name, rule = self._class(query, tokens, found)
        domain = self._domain(query, tokens, found)
        payer = self._catalog.payer(name, query.tenant)
        return Reading(Cell(name, payer, domain, self._size(tokens)), rule, tokens)

    def _class(self, query: Query, tokens: int, found: Found) -> tuple[str, str]:
        if query.traffic_class:
            if query.traffic_class not in self._catalog.classes:
                raise UnknownClass(
                    f"there is no class {query.traffic_class!r}: name one of the configuration, "
                    "or none and let the rules decide",
                    field="context.traffic_class",
                )
            return query.traffic_class, "context"
        for rule in self._classes:
            if rule.matches(query, tokens, found):
                return rule.name, rule.name
        if self._default is None:
            raise NoClass(
                "no rule matches and no class is the default: name a class",
                field="context.traffic_class",
            )
        return self._default, "default"

    def _domain(self, query: Query, tokens: int, found: Found) -> str:
        if query.domain:
            if query.domain not in self._domain_names:
                raise UnknownDomain(
                    f"there is no domain {query.domain!r}: name one of the configuration, or none",
                    field="features.domain",
                )
            return query.domain
        for rule in self._domains:
            if rule.matches(query, tokens, found):
                return rule.name
        return OTHER_DOMAIN

    def _size(self, tokens: int) -> str:
        for bound, name in zip(self._sizes, self._size_names, strict=False):
            if tokens <= bound:
                return name
        return self._size_names[-1]


class _Keywords:
    """All keywords of all rules, found in one pass over the text."""

    def __init__(self, matches: Iterable[MatchConfig]) -> None:
        self._automaton = ahocorasick.Automaton()
        for match in matches:
            for word in _words(match.keywords):
                self._automaton.add_word(word, word)
        self._any = len(self._automaton) > 0
        if self._any:
            self._automaton.make_automaton()

    def find(self, text: str) -> Found:
        """Those that stand in the text between word boundaries."""
        if not self._any or not text:
            return frozenset()
        if len(text) > 2 * READ_CHARS:
            text = f"{text[:READ_CHARS]}\n{text[-READ_CHARS:]}"
        text = text.casefold()
        return frozenset(
            word for end, word in self._automaton.iter(text) if _stands_alone(text, end, word)
        )


def _words(keywords: KeywordsConfig | None) -> tuple[str, ...]:
    if keywords is None:
        return ()
    return tuple(map(str.casefold, keywords.any_of + keywords.all_of + keywords.none_of))


def _stands_alone(text: str, end: int, word: str) -> bool:
    """The keyword is not part of a longer word."""
    start = end - len(word) + 1
    before = start > 0 and _joined(text[start - 1], word[0])
    after = end + 1 < len(text) and _joined(word[-1], text[end + 1])
    return not before and not after


def _joined(left: str, right: str) -> bool:
    """Two neighbours are of one word: an accent and what it stands on, or letters and digits."""
    of_right = category(right)
    return of_right in _MARKS or (of_right in _OF_WORDS and category(left) in _OF_WORDS)


def _compile(name: str, match: MatchConfig | None) -> Rule:
    return Rule(name, () if match is None else tuple(_checks(match)))


def _checks(match: MatchConfig) -> Iterable[Check]:
    """Cheapest first, for most rules fail on their first check."""
    for attribute in ("tenant", "user", "response_format"):
        if values := getattr(match, attribute):
            yield _one_of(attribute, values)
    if match.priority:
        yield _priority(match.priority)
    if match.input_tokens:
        yield _tokens(match.input_tokens)
    for attribute in ("labels", "metadata"):
        if wanted := getattr(match, attribute):
            yield _holds(attribute, wanted)
    if match.keywords:
        yield _keywords(match.keywords)


def _one_of(attribute: str, values: tuple[str, ...]) -> Check:
    allowed = frozenset(values)
    return lambda query, _tokens, _found: getattr(query, attribute) in allowed


def _holds(attribute: str, wanted: Mapping[str, tuple[str, ...]]) -> Check:
    pairs = tuple((key, frozenset(values)) for key, values in wanted.items())

    def check(query: Query, _tokens: int, _found: Found) -> bool:
        had: Mapping[str, str] = getattr(query, attribute)
        return all(had.get(key) in values for key, values in pairs)

    return check


def _within(bounds: RangeConfig) -> Callable[[int], bool]:
    low, high = bounds.min, bounds.max
    return lambda value: (low is None or value >= low) and (high is None or value <= high)


def _priority(bounds: RangeConfig) -> Check:
    within = _within(bounds)
    return lambda query, _tokens, _found: within(query.priority)


def _tokens(bounds: RangeConfig) -> Check:
    within = _within(bounds)
    return lambda _query, tokens, _found: within(tokens)


def _keywords(config: KeywordsConfig) -> Check:
    any_of, all_of, none_of = (
        frozenset(map(str.casefold, words))
        for words in (config.any_of, config.all_of, config.none_of)
    )
    return lambda _query, _tokens, found: (
        (not any_of or not any_of.isdisjoint(found))
        and all_of <= found
        and none_of.isdisjoint(found)
    )
