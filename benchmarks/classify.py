"""The reading of a request: 50 classes with rules of every kind, 500 keywords, 14 learned domains.

For texts of three lengths: a remark, a page and a book, of which only both ends are read.
"""

import random
import time
from collections.abc import Sequence
from functools import partial

import numpy as np

from benchmarks.floors.keyword_pass import KeywordPass
from benchmarks.harness import Benchmark, Claim, Row, compare, compared_s
from server.config.classes import ClassConfig, DomainConfig
from server.config.match import KeywordsConfig, MatchConfig, RangeConfig
from server.config.models import ModelConfig, PriceConfig
from server.config.schema import Config
from server.routing.catalog import compile_catalog
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.learned_classifier.file_format import Contents, Header, quantised
from server.routing.query import Query
from server.routing.reading.classifier import Classifier
from server.routing.reading.content import window

# The floor is one pass of the same keywords over what is read of the same text: no rule with
# keywords can be decided by less, whatever else it asks. Beyond it come word boundaries, the rules,
# what kind of text it is, the tokens and the learned domain.
_TEXT_CHARS = {
    Claim("classify", "Classifier.read", "keyword pass", subject_us_max=60): 1_024,
    Claim("classify 60 chars", "Classifier.read", "keyword pass", subject_us_max=12): 60,
    Claim("classify 200 KB", "Classifier.read", "keyword pass", subject_us_max=150): 200_000,
}

_ROUNDS, _CALLS = 30, 2_000
_BOTH_US = 580.0  # of all three lengths together
_CLASSES = 50
_CLASS_KEYWORDS = 9
_DOMAINS = 10
_DOMAIN_KEYWORDS = 5  # 50 x 9 + 10 x 5 = 500
# One word in so many of the text is a keyword, as of prose that is about something.
_KEYWORD_EVERY = 16
_SEED = 7
_PROSE = ("the", "answer", "to", "a", "question", "nobody", "asked", "is", "longer", "than", "any")
_LEARNED_DOMAINS = 14
_LEARNED_WORDS = 20_000


def run(toy: bool) -> list[Row]:
    words = _words(random.Random(_SEED))
    config = _config(words)
    classifier = Classifier(config, compile_catalog(config), _learned(words))
    rows = []
    for claim, chars in _TEXT_CHARS.items():
        query = _query(words, random.Random(_SEED), chars)
        rounds, calls = (3, 50) if toy else (_ROUNDS, _CALLS)
        subject = partial(classifier.read, query)
        floor = partial(KeywordPass(words).over, window(query.text))
        clock = time.perf_counter
        rows.append(compare(claim, subject, floor, rounds=rounds, calls=calls, clock=clock))
    return rows


def _words(chance: random.Random) -> list[str]:
    """Keywords that share beginnings, as words of a language do."""
    return _spoken(chance, _CLASSES * _CLASS_KEYWORDS + _DOMAINS * _DOMAIN_KEYWORDS)


def _spoken(chance: random.Random, count: int) -> list[str]:
    syllables = [a + b for a in "bcdfglmnprst" for b in "aeiou"]
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(chance.choices(syllables, k=chance.randint(2, 4)))] = None
    return list(words)


def _learned(keywords: Sequence[str]) -> LearnedClassifier:
    """As large as one that was trained; it knows most pairs of the texts, and every word that is
    not cut.

    Its weights are drawn: what they are changes no step of what is done with them.
    """
    chance = random.Random(_SEED)
    known = list(dict.fromkeys((*_PROSE, *keywords, *_spoken(chance, _LEARNED_WORDS))))
    pairs = list(
        dict.fromkeys(
            f"{a} {b}"
            for a in (*_PROSE, *keywords[:500])
            for b in (*_PROSE, *chance.choices(keywords, k=20))
        )
    )
    rows = np.random.default_rng(_SEED).normal(size=(len(known) + len(pairs), _LEARNED_DOMAINS))
    scales, weights = quantised(rows)
    header = Header(
        intents=(),
        domains=tuple(f"learned-{i}" for i in range(_LEARNED_DOMAINS)),
        outside=0,
        threshold=0.0,
        shares={},
        words=len(known),
        pairs=len(pairs),
        parts=0,
        vocabulary_bytes=0,
    )
    bias = np.zeros(_LEARNED_DOMAINS, np.float32)
    lengths2 = np.ones(len(rows), np.float32)
    return LearnedClassifier(Contents(header, [*known, *pairs], bias, lengths2, scales, weights))


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
    """Rules of every kind in turn; each but two of a round also has keywords."""
    third = len(words) // 3
    keywords = KeywordsConfig(
        any_of=words[:third], all_of=words[third : 2 * third], none_of=words[2 * third :]
    )
    kinds = (
        MatchConfig(labels={"app": (f"app-{index}", "shop"), "stage": ("test",)}),
        MatchConfig(metadata={"x-team": (f"team-{index}",)}),
        MatchConfig(tenant=(f"tenant-{index}", "acme"), tools=True),
        MatchConfig(user=(f"user-{index}",), messages=RangeConfig(min=2)),
        MatchConfig(response_format=("json",), domains=(f"domain-{index % _DOMAINS}",)),
        MatchConfig(priority=RangeConfig(min=index)),
        MatchConfig(input_tokens=RangeConfig(max=100)),
        MatchConfig(),
    )
    # These two are asked of every text, for nothing cheaper refuses them.
    alone = (
        MatchConfig(structures=("table", "code")),
        MatchConfig(languages=("de", "fr"), intents=("none",)),
    )
    if index % 10 < len(alone):
        return alone[index % 10]
    return kinds[index % len(kinds)].model_copy(update={"keywords": keywords})


def _query(words: Sequence[str], chance: random.Random, chars: int) -> Query:
    """Looks like many classes and is of none, but for the default."""
    return Query(
        tenant="acme",
        user="ada",
        labels={"app": "shop", "stage": "live"},
        metadata={"x-team": "blue", "user-agent": "grpc-python/1.76"},
        response_format="json",
        text=_text(words, chance, chars),
        messages=1,
    )


def _text(words: Sequence[str], chance: random.Random, chars: int) -> str:
    text: list[str] = []
    length = 0
    while length < chars:
        keyword = chance.randrange(_KEYWORD_EVERY) == 0
        text.append(chance.choice(words if keyword else _PROSE).title())
        length += len(text[-1]) + 1
    return " ".join(text)[:chars].ljust(chars)


BENCHMARK = Benchmark("classify", tuple(_TEXT_CHARS), run, compared_s(_ROUNDS, _CALLS, _BOTH_US))
