"""Rules, compiled once for each configuration: the first that matches, whatever their number.

All rules are asked at once, one kind of condition after the other, cheapest first. What remains is
looked at no further than to the first rule that nothing else can refuse.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, TypeVar

from server.config.match import MatchConfig, TensorsConfig
from server.routing.reading.conditions import (
    AnyOf,
    Entries,
    Keywording,
    OneOf,
    Within,
    bits_of,
)
from server.routing.reading.facts import Facts

_Given = TypeVar("_Given")
_Fact = TypeVar("_Fact", contravariant=True)


class _Condition(Protocol[_Fact]):
    @property
    def asked(self) -> int:
        """The rules that have it."""

    def holds(self, fact: _Fact, /) -> int:
        """The rules of which it holds, those without it among them."""


class _Stage(NamedTuple):
    """A kind of condition."""

    asked: int
    read: Callable[[Facts], Any]  # what `holds` takes
    holds: Callable[[Any], int]
    rest: int = 0  # the rules that it or a later one asks: of others nothing is left to ask


class RuleSet:
    """Rules in the order in which they are tried."""

    def __init__(self, rules: Sequence[MatchConfig]) -> None:
        self._every = bits_of(range(len(rules)))
        self._stated = _used(_stated(self._every, rules))
        self._read = _with_rest(_used(_read(self._every, rules)))

    def first(self, facts: Facts) -> int | None:
        """The number of the first rule that matches."""
        left = self._every
        for asked, read, holds, _ in self._stated:
            if left & asked:
                left &= holds(read(facts))
        for asked, read, holds, rest in self._read:
            sure = left & ~rest
            if sure:
                left &= sure ^ (sure - 1)
            if left & asked:
                left &= holds(read(facts))
        return (left & -left).bit_length() - 1 if left else None


def _used(stages: Iterable[_Stage]) -> tuple[_Stage, ...]:
    return tuple(stage for stage in stages if stage.asked)


def _with_rest(stages: Sequence[_Stage]) -> tuple[_Stage, ...]:
    staged, rest = [], 0
    for stage in reversed(stages):
        rest |= stage.asked
        staged.append(stage._replace(rest=rest))
    return tuple(reversed(staged))


def _stated(every: int, rules: Sequence[MatchConfig]) -> Iterator[_Stage]:
    """What needs no look at the content."""
    given = _Rules(rules)
    yield _stage(OneOf(every, given(lambda m: m.tenant)), attrgetter("query.tenant"))
    yield _stage(OneOf(every, given(lambda m: m.user)), attrgetter("query.user"))
    yield _stage(
        OneOf(every, given(lambda m: m.response_format)), attrgetter("query.response_format")
    )
    yield _stage(
        OneOf(every, given(lambda m: None if m.tools is None else (m.tools,))),
        lambda f: "tools" in f.query.capabilities,
    )
    yield _stage(Within(every, given(lambda m: m.priority)), attrgetter("query.priority"))
    yield _stage(Within(every, given(lambda m: m.messages)), attrgetter("query.messages"))
    yield _stage(Within(every, given(lambda m: m.input_tokens)), attrgetter("input_tokens"))
    yield _stage(Entries(every, given(lambda m: m.labels)), attrgetter("query.labels"))
    yield _stage(Entries(every, given(lambda m: m.metadata)), attrgetter("query.metadata"))
    yield _stage(OneOf(every, given(lambda m: m.domains)), attrgetter("domain"))


def _read(every: int, rules: Sequence[MatchConfig]) -> Iterator[_Stage]:
    """What the content is read for."""
    given = _Rules(rules)
    yield from _of_tensors(every, given)
    yield _stage(OneOf(every, given(lambda m: m.scripts)), lambda f: f.writing.script)
    yield _stage(OneOf(every, given(lambda m: m.languages)), lambda f: f.writing.language)
    yield _stage(Keywording(every, given(lambda m: m.keywords)), attrgetter("found"))
    yield _stage(AnyOf(every, given(lambda m: m.structures)), lambda f: f.structure.names)
    yield _stage(
        OneOf(every, given(lambda m: m.code_languages)), lambda f: f.structure.code_language
    )
    yield _stage(OneOf(every, given(lambda m: m.intents)), attrgetter("intent"))


def _of_tensors(every: int, given: "_Rules") -> Iterator[_Stage]:
    yield _stage(
        AnyOf(every, given(lambda m: _tensors(m).names)),
        lambda f: [tensor.name for tensor in f.tensors],
    )
    yield _stage(
        AnyOf(every, given(lambda m: _tensors(m).datatypes)),
        lambda f: [tensor.datatype for tensor in f.tensors],
    )
    yield _stage(
        Within(every, given(lambda m: _tensors(m).elements)),
        lambda f: sum(tensor.elements for tensor in f.tensors),
    )


class _Rules:
    """What each rule gives for a key, by its number; rules that give nothing are left out."""

    def __init__(self, rules: Sequence[MatchConfig]) -> None:
        self._rules = rules

    def __call__(self, key: Callable[[MatchConfig], _Given | None]) -> Mapping[int, _Given]:
        return {number: given for number, rule in enumerate(self._rules) if (given := key(rule))}


def _tensors(rule: MatchConfig) -> TensorsConfig:
    return rule.tensors or TensorsConfig()


def _stage(condition: "_Condition[_Fact]", read: Callable[[Facts], _Fact]) -> _Stage:
    return _Stage(condition.asked, read, condition.holds)
