"""What has to hold of each rule: that it says something, and that a request could match it."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from server.config.classes import ClassConfig, DomainConfig
from server.config.diagnostics import Findings, Path, did_you_mean
from server.config.match import (
    SCRIPT_OF,
    KeywordsConfig,
    Match,
    MatchConfig,
    RangeConfig,
    TensorsConfig,
    alternatives,
)
from server.config.schema import Config
from server.config.section import OTHER
from server.config.words import folded, stands_in

# All rules share one automaton, which is built at every change: 10,000 take about 10 ms.
KEYWORDS_MAX = 10_000
KEYWORD_BYTES_MAX = 128

_METADATA_KEY = re.compile(r"[a-z0-9._-]+")  # gRPC's, which has no other letters


def of_classes(config: Config) -> Findings:
    """The rules of classes."""
    for i, entry in enumerate(config.classes):
        yield from _of_match(("classes", i, "match"), entry.match)


def of_domains(config: Config) -> Findings:
    """The rules of domains, which cannot ask for what they decide."""
    for i, entry in enumerate(config.domains):
        at: Path = ("domains", i, "match")
        yield from _of_match(at, entry.match)
        for place, block in _blocks(at, entry.match):
            if block.domains:
                yield (*place, "domains"), "a domain's rule decides the domain: leave it out"


def of_names(config: Config) -> Findings:
    """The domains and intents that rules name; with a classifier only its file tells them."""
    if config.classifier is None:
        yield from unknown_names(config, (), ())


def unknown_names(
    config: Config, learned_domains: Collection[str], intents: Collection[str]
) -> Findings:
    """Domains and intents in rules that are neither configured nor learned."""
    domains = {domain.name for domain in config.domains}.union(learned_domains, (OTHER,))
    for at, entry in _entries(config):
        for place, block in _blocks((*at, "match"), entry.match):
            yield from _unknown((*place, "domains"), "domain", block.domains, domains)
            if block.intents and not intents:
                yield (*place, "intents"), "only a classifier of intents knows them: name its file"
            else:
                yield from _unknown((*place, "intents"), "intent", block.intents, intents)


def _unknown(at: Path, word: str, names: Sequence[str], known: Collection[str]) -> Findings:
    for i, name in enumerate(names):
        if name not in known:
            message = f"no {word} is named {name[:80]!r}: {did_you_mean(name, known)}"
            yield (*at, i), message


def keyword_count(config: Config) -> Findings:
    """All rules together have a bounded number of keywords."""
    total = 0
    for at, entry in _entries(config):
        for place, block in _blocks((*at, "match"), entry.match):
            before, total = total, total + _count(block.keywords)
            if before <= KEYWORDS_MAX < total:
                message = f"takes all rules together beyond {KEYWORDS_MAX:,} keywords: use fewer"
                yield (*place, "keywords"), message


def _entries(config: Config) -> Iterator[tuple[Path, ClassConfig | DomainConfig]]:
    for i, traffic_class in enumerate(config.classes):
        yield ("classes", i), traffic_class
    for i, domain in enumerate(config.domains):
        yield ("domains", i), domain


def _blocks(at: Path, match: Match | None) -> Iterator[tuple[Path, MatchConfig]]:
    """Each block with its place in the file."""
    for i, block in enumerate(alternatives(match)):
        yield ((*at, i) if isinstance(match, tuple) else at), block


def _of_match(at: Path, match: Match | None) -> Findings:
    if match == ():
        yield at, "lists no block: give one, or leave match out"
    for place, block in _blocks(at, match):
        yield from _of_block(place, block)


def _of_block(at: Path, block: MatchConfig) -> Findings:
    if block == MatchConfig():
        yield at, "has no rule, so it would match every request: give one, or leave match out"
    for key, entries in (("labels", block.labels), ("metadata", block.metadata)):
        yield from _values((*at, key), entries)
    for name in block.metadata:
        if not _METADATA_KEY.fullmatch(name):
            message = "gRPC metadata has keys of a-z, 0-9, '.', '_' and '-' only"
            yield (*at, "metadata", name), message
    yield from _range((*at, "priority"), block.priority)
    yield from _range((*at, "messages"), block.messages, least=0)
    yield from _range((*at, "input_tokens"), block.input_tokens, least=0)
    yield from _tensors((*at, "tensors"), block.tensors)
    yield from _keywords((*at, "keywords"), block.keywords)
    yield from _languages((*at, "languages"), block)


def _values(at: Path, entries: Mapping[str, tuple[str, ...]]) -> Findings:
    for key, values in entries.items():
        if not values:
            yield (*at, key), "lists no value: give those that match"


def _range(at: Path, bounds: RangeConfig | None, *, least: int | None = None) -> Findings:
    if bounds is None:
        return
    if bounds.min is None and bounds.max is None:
        yield at, "gives neither min nor max: give one"
    elif bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
        yield at, f"nothing is from {bounds.min} to {bounds.max}: min must be at most max"
    elif least is not None and bounds.max is not None and bounds.max < least:
        yield at, f"nothing is at most {bounds.max}: max must be at least {least}"


def _tensors(at: Path, tensors: TensorsConfig | None) -> Findings:
    if tensors is None:
        return
    if tensors == TensorsConfig():
        yield at, "says nothing of them: give names, datatypes or elements"
    yield from _range((*at, "elements"), tensors.elements, least=0)


def _languages(at: Path, block: MatchConfig) -> Findings:
    """A language is only found in its own script."""
    for i, language in enumerate(block.languages):
        script = SCRIPT_OF[language]
        if block.scripts and script not in block.scripts:
            yield (*at, i), f"{language!r} is written in {script}, which scripts leaves out"


def _keywords(at: Path, keywords: KeywordsConfig | None) -> Findings:
    if keywords is None:
        return
    if keywords == KeywordsConfig():
        yield at, "lists no keyword: give any_of, all_of or none_of"
    for key, words in _lists(keywords).items():
        for i, word in enumerate(words):
            if not word.strip():
                yield (*at, key, i), "is blank: give a word or a phrase"
            elif len(word.encode()) > KEYWORD_BYTES_MAX:
                yield (*at, key, i), f"must be at most {KEYWORD_BYTES_MAX} bytes long"
    yield from _contradictions(at, keywords)


def _contradictions(at: Path, keywords: KeywordsConfig) -> Findings:
    """What has to be absent cannot be part of what has to be there."""
    absent = [word for word in map(folded, keywords.none_of) if word]
    for key, words in (("any_of", keywords.any_of), ("all_of", keywords.all_of)):
        for i, word in enumerate(words):
            refused = next((a for a in absent if stands_in(a, folded(word))), None)
            if refused is not None:
                message = f"{word!r} can never count, for none_of has {refused!r}: leave one out"
                yield (*at, key, i), message


def _lists(keywords: KeywordsConfig) -> Mapping[str, tuple[str, ...]]:
    return {"any_of": keywords.any_of, "all_of": keywords.all_of, "none_of": keywords.none_of}


def _count(keywords: KeywordsConfig | None) -> int:
    return 0 if keywords is None else sum(map(len, _lists(keywords).values()))
