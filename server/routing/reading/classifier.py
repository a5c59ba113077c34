"""Reads a request: class by the rules, domain, size, payer and kind, which make its cell."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from server.config.classes import ClassConfig, DomainConfig
from server.config.match import MatchConfig, alternatives
from server.config.schema import Config
from server.config.section import OTHER
from server.routing.catalog import Catalog, Cell
from server.routing.errors import NoClass, UnknownClass, UnknownDomain
from server.routing.query import Query
from server.routing.reading.facts import Facts, Readers
from server.routing.reading.keywords import Keywords
from server.routing.reading.rules import compile_rules
from server.routing.reading.structure import CODE_LANGUAGE, Structures
from server.routing.reading.wording import in_short

if TYPE_CHECKING:
    from server.routing.learned_classifier.classifier import LearnedClassifier


class Reading(NamedTuple):
    """What was read: the cell, what made the class, and the size it was put in by."""

    cell: Cell
    rule: str
    input_tokens: int
    intent: str = ""  # empty unless the learned model was asked and is sure
    why: str = ""  # what the rules and the learned model said, to begin a sentence with


class _Choice(NamedTuple):
    name: str
    rule: str  # what made it
    why: str


def _rules(
    entries: Sequence[ClassConfig | DomainConfig], said: str
) -> Callable[[Facts], _Choice | None]:
    """The rules of one section, of which the first that matches names its entry."""
    ruled = [(entry.name, block) for entry in entries for block in alternatives(entry.match)]
    choices = [
        _Choice(name, name, said.format(name=name, block=in_short(block))) for name, block in ruled
    ]
    return compile_rules([block for _, block in ruled], choices)


class Classifier:
    """One configuration's rules. Replaced whole when the configuration changes."""

    def __init__(
        self, config: Config, catalog: Catalog, learned: "LearnedClassifier | None" = None
    ) -> None:
        self._payer = catalog.payer
        self._first_class = _rules(config.classes, "rule {name} matched ({block}); ")
        self._first_domain = _rules(config.domains, "domain {name} ({block}); ")
        self._named = {name: _Choice(name, "context", "") for name in catalog.classes}
        default = next((c.name for c in config.classes if c.default), None)
        self._default = None if default is None else _Choice(default, "default", "")
        learned_domains = () if learned is None else learned.domains
        self._domain_names = {*(d.name for d in config.domains), *learned_domains, OTHER}
        self._sizes = config.size_buckets_tokens
        self._size_names = tuple(f"s{i}" for i in range(len(config.size_buckets_tokens) + 1))
        blocks = tuple(_blocks((*config.classes, *config.domains)))
        self.asks_metadata = any(block.metadata for block in blocks)
        self._token_steps = sorted({*self._sizes, *_token_steps(blocks)})
        self.readers = Readers(
            Keywords(_keywords(blocks)), Structures(_structures(blocks)), learned
        )

    def read(self, query: Query) -> Reading:
        """Raises UnknownClass, UnknownDomain or NoClass; PayloadMalformed for tensors."""
        return self.reading(Facts(query, self.readers))

    def token_range(self, input_tokens: int) -> int:
        """The range of tokens that these are in: no rule and no size tells those of one apart."""
        return bisect_left(self._token_steps, input_tokens)

    def reading(self, facts: Facts) -> Reading:
        """What is made of a request; raises as `read` does."""
        query, tokens = facts.query, facts.input_tokens
        domain = (
            self._stated_domain(query.domain)
            if query.domain
            else self._first_domain(facts) or _learned_domain(facts)
        )
        facts.domain = domain.name
        chosen = (
            self._stated_class(query.traffic_class)
            if query.traffic_class
            else self._first_class(facts) or self._default_class()
        )
        name = chosen.name
        size = self._size_names[bisect_left(self._sizes, tokens)]
        payer = self._payer(name, query.tenant)
        cell = Cell(name, payer, domain.name, size, query.payload_kind)
        return Reading(cell, chosen.rule, tokens, facts.intent_so_far, chosen.why + domain.why)

    def _stated_class(self, name: str) -> _Choice:
        if name not in self._named:
            raise UnknownClass(
                f"there is no class {name!r}: name one of the configuration, "
                "or none and let the rules decide",
                field="context.traffic_class",
            )
        return self._named[name]

    def _default_class(self) -> _Choice:
        if self._default is None:
            raise NoClass(
                "no rule matches and no class is the default: name a class",
                field="context.traffic_class",
            )
        return self._default

    def _stated_domain(self, name: str) -> _Choice:
        if name not in self._domain_names:
            raise UnknownDomain(
                f"there is no domain {name!r}: name one of the configuration, or none",
                field="features.domain",
            )
        return _Choice(name, "context", "")


def _learned_domain(facts: Facts) -> _Choice:
    guess = facts.guess
    if guess is None:
        return _OTHER
    why = f"domain {guess.domain} {guess.domain_probability:.2f}; "
    return _Choice(guess.domain, "learned", why)


_OTHER = _Choice(OTHER, "default", "")


def _blocks(entries: Iterable[ClassConfig | DomainConfig]) -> Iterator[MatchConfig]:
    for entry in entries:
        yield from alternatives(entry.match)


def _keywords(blocks: Iterable[MatchConfig]) -> Iterator[str]:
    for block in blocks:
        if block.keywords is not None:
            yield from block.keywords.any_of
            yield from block.keywords.all_of
            yield from block.keywords.none_of


def _token_steps(blocks: Iterable[MatchConfig]) -> Iterator[int]:
    """The last numbers before a rule says something else."""
    for block in blocks:
        within = block.input_tokens
        if within is not None and within.min is not None:
            yield within.min - 1
        if within is not None and within.max is not None:
            yield within.max


def _structures(blocks: Iterable[MatchConfig]) -> frozenset[str]:
    asked: set[str] = set()
    for block in blocks:
        asked.update(block.structures)
        if block.code_languages:
            asked.add(CODE_LANGUAGE)
    return frozenset(asked)
