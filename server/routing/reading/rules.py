"""Rules, compiled once for each configuration: the first that matches, whatever their number.

All rules are asked at once, one kind of condition after the other, cheapest first. What remains is
looked at no further than to the first rule that nothing else can refuse. A set is compiled to one
function of Python, for to go through the kinds in a loop would take longer than they take.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import NamedTuple, Protocol, TypeVar, cast

from server.config.match import MatchConfig, TensorsConfig
from server.routing.reading.conditions import (
    AnyOf,
    Entries,
    Expression,
    Keywording,
    OneOf,
    Within,
    bits_of,
)
from server.routing.reading.facts import Facts

_Given = TypeVar("_Given")
_Outcome = TypeVar("_Outcome")


class _Condition(Protocol):
    @property
    def asked(self) -> int:
        """The rules that have it."""

    def holding(self, name: str, fact: str, /) -> Expression:
        """Of the rules of which it holds, those without it among them."""


class _Stage(NamedTuple):
    """A kind of condition of rules, by a name of its own, and what it is asked of."""

    name: str
    condition: _Condition
    fact: str  # an expression of `facts` and its `query`


def compile_rules(
    rules: Sequence[MatchConfig], outcomes: Sequence[_Outcome]
) -> Callable[[Facts], _Outcome | None]:
    """What gives the outcome of the first rule that matches, in the order in which they are tried.

    The outcomes stand in the order of the rules.
    """
    every = bits_of(range(len(rules)))
    # Found by how many bits it takes to write the lowest rule that is left.
    names: dict[str, object] = {"outcomes": (None, *outcomes)}
    # Numbers are written in base 16: others are refused when they have thousands of digits.
    lines = ["def first(facts):", " query = facts.query", f" left = {every:#x}"]

    def ask(stage: _Stage) -> None:
        source, needed = stage.condition.holding(stage.name, stage.fact)
        lines.append(f" if left & {stage.condition.asked:#x}: left &= {source}")
        names.update(needed)

    for stage in _used(_stated(every, rules)):
        ask(stage)
    reading = _used(_read(every, rules))
    for number, stage in enumerate(reading):
        # Of rules that neither this kind nor a later one asks nothing is left to ask.
        rest = reduce(or_, (later.condition.asked for later in reading[number:]))
        lines.append(f" if sure := left & {every & ~rest:#x}: left &= sure ^ (sure - 1)")
        ask(stage)
    lines.append(" return outcomes[(left & -left).bit_length()]")
    # Of names and numbers that are made here: nothing that is given is written in it.
    exec(compile("\n".join(lines), "<rules>", "exec"), names)
    # Taken out of its own globals, or only the garbage collector could free it.
    return cast("Callable[[Facts], _Outcome | None]", names.pop("first"))


def _used(stages: Iterable[_Stage]) -> list[_Stage]:
    return [stage for stage in stages if stage.condition.asked]


def _stated(every: int, rules: Sequence[MatchConfig]) -> Iterator[_Stage]:
    """What needs no look at the content."""
    given = _Rules(rules)
    yield _Stage("tenant", OneOf(every, given(lambda m: m.tenant)), "query.tenant")
    yield _Stage("user", OneOf(every, given(lambda m: m.user)), "query.user")
    yield _Stage(
        "response_format",
        OneOf(every, given(lambda m: m.response_format)),
        "query.response_format",
    )
    yield _Stage(
        "tools",
        OneOf(every, given(lambda m: None if m.tools is None else (m.tools,))),
        "'tools' in query.capabilities",
    )
    yield _Stage("priority", Within(every, given(lambda m: m.priority)), "query.priority")
    yield _Stage("messages", Within(every, given(lambda m: m.messages)), "query.messages")
    yield _Stage("tokens", Within(every, given(lambda m: m.input_tokens)), "facts.input_tokens")
    yield _Stage("labels", Entries(every, given(lambda m: m.labels)), "query.labels")
    yield _Stage("metadata", Entries(every, given(lambda m: m.metadata)), "query.metadata")
    yield _Stage("domains", OneOf(every, given(lambda m: m.domains)), "facts.domain")


def _read(every: int, rules: Sequence[MatchConfig]) -> Iterator[_Stage]:
    """What the content is read for."""
    given = _Rules(rules)
    yield from _of_tensors(every, given)
    yield _Stage("scripts", OneOf(every, given(lambda m: m.scripts)), "facts.writing.script")
    yield _Stage("languages", OneOf(every, given(lambda m: m.languages)), "facts.writing.language")
    yield _Stage("keywords", Keywording(every, given(lambda m: m.keywords)), "facts.found")
    yield _Stage("structures", AnyOf(every, given(lambda m: m.structures)), "facts.structure.names")
    yield _Stage(
        "code_languages",
        OneOf(every, given(lambda m: m.code_languages)),
        "facts.structure.code_language",
    )
    yield _Stage("intents", OneOf(every, given(lambda m: m.intents)), "facts.intent")


def _of_tensors(every: int, given: "_Rules") -> Iterator[_Stage]:
    yield _Stage(
        "tensor_names",
        AnyOf(every, given(lambda m: _tensors(m).names)),
        "[tensor.name for tensor in facts.tensors]",
    )
    yield _Stage(
        "tensor_datatypes",
        AnyOf(every, given(lambda m: _tensors(m).datatypes)),
        "[tensor.datatype for tensor in facts.tensors]",
    )
    yield _Stage(
        "tensor_elements",
        Within(every, given(lambda m: _tensors(m).elements)),
        "sum(tensor.elements for tensor in facts.tensors)",
    )


class _Rules:
    """What each rule gives for a key, by its number; rules that give nothing are left out."""

    def __init__(self, rules: Sequence[MatchConfig]) -> None:
        self._rules = rules

    def __call__(self, key: Callable[[MatchConfig], _Given | None]) -> Mapping[int, _Given]:
        return {number: given for number, rule in enumerate(self._rules) if (given := key(rule))}


def _tensors(rule: MatchConfig) -> TensorsConfig:
    return rule.tensors or TensorsConfig()
