"""The reading of a request: 1 KB of text, 50 classes with rules of every kind, 500 keywords."""

import random
import time
from collections.abc import Sequence
from functools import partial

from benchmarks.floors.keyword_pass import KeywordPass
from benchmarks.harness import Benchmark, Claim, Row, compare
from server.config import (
    ClassConfig,
    Config,
    DomainConfig,
    KeywordsConfig,
    MatchConfig,
    ModelConfig,
    PriceConfig,
    RangeConfig,
)
from server.routing.catalog import compile_catalog
from server.routing.classifier import Classifier
from server.routing.query import Query

# The floor is one pass of the same keywords over the same text: no rule with keywords can be
# decided by less, whatever else it asks. Beyond it come word boundaries and the rules.
CLAIM = Claim("classify", "Classifier.read", "keyword pass", subject_us_max=60)

_CLASSES = 50
_CLASS_KEYWORDS = 9
_DOMAINS = 10
_DOMAIN_KEYWORDS = 5  # 50 x 9 + 10 x 5 = 500
_TEXT_CHARS = 1_024
# One word in so many of the text is a keyword, as of prose that is about something.
_KEYWORD_EVERY = 16
_SEED = 7
_PROSE = ("the", "answer", "to", "a", "question", "nobody", "asked", "is", "longer", "than", "any")


def run(toy: bool) -> list[Row]:
    rounds, calls = (3, 50) if toy else (30, 2_000)
    words = _words(random.Random(_SEED))
    config = _config(words)
    classifier = Classifier(config, compile_catalog(config))
    query = _query(words, random.Random(_SEED))
    subject = partial(classifier.read, query)
    floor = partial(KeywordPass(words).over, query.text)
    clock = time.perf_counter
    return [compare(CLAIM, subject, floor, rounds=rounds, calls=calls, clock=clock)]


def _words(chance: random.Random) -> list[str]:
    """Keywords that share beginnings, as words of a language do."""
    syllables = [a + b for a in "bcdfglmnprst" for b in "aeiou"]
    words: dict[str, None] = {}
    while len(words) < _CLASSES * _CLASS_KEYWORDS + _DOMAINS * _DOMAIN_KEYWORDS:
        words["".join(chance.choices(syllables, k=chance.randint(2, 4)))] = None
    return list(words)


def _config(words: Sequence[str]) -> Config:
    of_domains = words[_CLASSES * _CLASS_KEYWORDS :]
    return Config(
        models=(
            ModelConfig(
                name="m",
                protocol="openai",
                endpoints=("h:1",),
                price=PriceConfig(),
                prior_accuracy=1,
            ),
        ),
        # No rule matches what is asked, so that every one is tried.
        classes=tuple(
            ClassConfig(
                name=f"class-{i}",
                match=_match(i, _slice(words, i, _CLASS_KEYWORDS)),
                default=i == _CLASSES - 1,
            )
            for i in range(_CLASSES)
        ),
        domains=tuple(
            DomainConfig(
                name=f"domain-{i}",
                match=MatchConfig(
                    keywords=KeywordsConfig(all_of=_slice(of_domains, i, _DOMAIN_KEYWORDS))
                ),
            )
            for i in range(_DOMAINS)
        ),
    )


def _slice(words: Sequence[str], index: int, size: int) -> tuple[str, ...]:
    return tuple(words[index * size : (index + 1) * size])


def _match(index: int, words: tuple[str, ...]) -> MatchConfig:
    """Rules of every kind in turn; each also has keywords."""
    third = len(words) // 3
    keywords = KeywordsConfig(
        any_of=words[:third], all_of=words[third : 2 * third], none_of=words[2 * third :]
    )
    kinds = (
        MatchConfig(labels={"app": (f"app-{index}", "shop"), "stage": ("test",)}),
        MatchConfig(metadata={"x-team": (f"team-{index}",)}),
        MatchConfig(tenant=(f"tenant-{index}", "acme")),
        MatchConfig(user=(f"user-{index}",)),
        MatchConfig(response_format=("json",)),
        MatchConfig(priority=RangeConfig(min=index)),
        MatchConfig(input_tokens=RangeConfig(max=100)),
        MatchConfig(),
    )
    return kinds[index % len(kinds)].model_copy(update={"keywords": keywords})


def _query(words: Sequence[str], chance: random.Random) -> Query:
    """Looks like many classes and is of none, but for the default."""
    return Query(
        tenant="acme",
        user="ada",
        labels={"app": "shop", "stage": "live"},
        metadata={"x-team": "blue", "user-agent": "grpc-python/1.76"},
        response_format="json",
        text=_text(words, chance),
    )


def _text(words: Sequence[str], chance: random.Random) -> str:
    text = ""
    while len(text) < _TEXT_CHARS:
        keyword = chance.randrange(_KEYWORD_EVERY) == 0
        text += chance.choice(words if keyword else _PROSE).title() + " "
    return text[:_TEXT_CHARS]


BENCHMARK = Benchmark("classify", (CLAIM,), run)
