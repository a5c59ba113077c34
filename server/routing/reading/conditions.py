"""The kinds of conditions that rules make, each compiled for all rules of a set at once.

Rule i is bit i of an integer. A condition knows the bits of the rules that have it, and answers for
one request with the bits of the rules whose condition holds; rules without it are among these. So
what a request costs depends on how many kinds of conditions there are, and on how many labels and
metadata are asked for, not on how many rules.

How a condition answers is an expression of Python: rules.py makes one function of those of a set.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from functools import reduce
from operator import or_
from typing import NamedTuple, TypeVar

from server.config.match import KeywordsConfig, RangeConfig
from server.config.words import folded

_Value = TypeVar("_Value", bound=Hashable)
_Range = tuple[int | None, int | None]


def bits_of(rules: Iterable[int]) -> int:
    """The rules as one integer."""
    bits = 0
    for rule in rules:
        bits |= 1 << rule
    return bits


class Expression(NamedTuple):
    """A condition's answer in Python."""

    source: str
    names: Mapping[str, object]  # what the source calls things that are not written in it


class OneOf:
    """The request's value is one of the rule's."""

    def __init__(self, every: int, wanted: Mapping[int, Collection[Hashable]]) -> None:
        self.asked = bits_of(wanted)
        self._free = every & ~self.asked
        self._holds = _holds(every, wanted)

    def holding(self, name: str, value: str) -> Expression:
        free = f"{name}_free"
        return Expression(f"{name}({value}, {free})", {name: self._holds.get, free: self._free})


class AnyOf:
    """One of the request's values is one of the rule's."""

    def __init__(self, every: int, wanted: Mapping[int, Collection[Hashable]]) -> None:
        self.asked = bits_of(wanted)
        self._free = every & ~self.asked
        self._rules = _rules_by_value(wanted)

    def holding(self, name: str, values: str) -> Expression:
        return Expression(f"{name}({values})", {name: self._holding})

    def _holding(self, values: Iterable[Hashable]) -> int:
        holding = self._free
        for value in values:
            holding |= self._rules.get(value, 0)
        return holding


class Entries:
    """A mapping of the request has, for each key of the rule, one of its values."""

    def __init__(self, every: int, wanted: Mapping[int, Mapping[str, Collection[str]]]) -> None:
        self.asked = bits_of(wanted)
        by_key: defaultdict[str, dict[int, Collection[str]]] = defaultdict(dict)
        for rule, entries in wanted.items():
            for key, values in entries.items():
                by_key[key][rule] = values
        self._every = every
        self._keys = tuple(
            (key, _holds(every, rules), every & ~bits_of(rules)) for key, rules in by_key.items()
        )

    def holding(self, name: str, had: str) -> Expression:
        return Expression(f"{name}({had})", {name: self._holding})

    def _holding(self, had: Mapping[str, str]) -> int:
        holding = self._every
        for key, holds, free in self._keys:
            holding &= holds.get(had.get(key), free)
        return holding


class Within:
    """A number of the request is in the rule's range."""

    def __init__(self, every: int, wanted: Mapping[int, RangeConfig]) -> None:
        self.asked = bits_of(wanted)
        # Between two neighbouring starts the same rules hold: at each, some begin and some end.
        turned: defaultdict[int, list[int]] = defaultdict(list)
        holding = every & ~self.asked
        for rule, (low, high) in _ranges(wanted):
            if low is None:
                holding |= 1 << rule
            else:
                turned[low].append(rule)
            if high is not None:
                turned[high + 1].append(rule)
        self._starts = sorted(turned)
        holds = [holding]
        for start in self._starts:
            holding ^= bits_of(turned[start])
            holds.append(holding)
        self._holds = tuple(holds)

    def holding(self, name: str, number: str) -> Expression:
        source = f"{name}[{name}_place({name}_starts, {number})]"
        names = {name: self._holds, f"{name}_place": bisect_right, f"{name}_starts": self._starts}
        return Expression(source, names)


class Keywording:
    """Of the rule's keywords the text has one of any_of, all of all_of, and none of none_of."""

    def __init__(self, every: int, wanted: Mapping[int, KeywordsConfig]) -> None:
        self.asked = bits_of(wanted)
        any_of = {rule: _folded(words.any_of) for rule, words in wanted.items() if words.any_of}
        none_of = {rule: _folded(words.none_of) for rule, words in wanted.items()}
        self._all_of = {
            rule: _folded(words.all_of) for rule, words in wanted.items() if words.all_of
        }
        # One found word of all_of lets a rule be looked at; whether all were is asked last.
        self._looked_at = bits_of(self._all_of)
        # Three sets of rules in one integer, so that a found word takes one step.
        self._every, self._width = every, every.bit_length()
        self._free = every & ~bits_of(any_of) | (every & ~self._looked_at) << self._width
        self._by_word = _sums(
            _rules_by_value(any_of),
            _rules_by_value(self._all_of, self._width),
            _rules_by_value(none_of, 2 * self._width),
        )
        self._words = frozenset(self._by_word)

    def holding(self, name: str, found: str) -> Expression:
        return Expression(f"{name}({found})", {name: self._holding})

    def _holding(self, found: Set[str]) -> int:
        said = reduce(or_, map(self._by_word.__getitem__, self._words & found), self._free)
        width = self._width
        holding = said & said >> width & ~(said >> 2 * width) & self._every
        left = holding & self._looked_at
        return self._complete(holding, left, found) if left else holding

    def _complete(self, holding: int, left: int, found: Set[str]) -> int:
        """Without those rules, of `left`, of whose words one is missing."""
        while left:
            lowest = left & -left
            left ^= lowest
            if not self._all_of[lowest.bit_length() - 1].issubset(found):
                holding ^= lowest
        return holding


def _holds(every: int, wanted: Mapping[int, Collection[Hashable]]) -> dict[Hashable, int]:
    """The rules of which each value is one, those that want none among them."""
    free = every & ~bits_of(wanted)
    return {value: free | bits for value, bits in _rules_by_value(wanted).items()}


def _rules_by_value(wanted: Mapping[int, Collection[_Value]], shift: int = 0) -> dict[_Value, int]:
    rules: defaultdict[_Value, list[int]] = defaultdict(list)
    for rule, values in wanted.items():
        for value in values:
            rules[value].append(rule)
    return {value: bits_of(having) << shift for value, having in rules.items()}


def _sums(*tables: Mapping[str, int]) -> dict[str, int]:
    """What the tables have for a word, together; none has a bit of another."""
    sums: defaultdict[str, int] = defaultdict(int)
    for table in tables:
        for word, bits in table.items():
            sums[word] |= bits
    return dict(sums)


def _ranges(wanted: Mapping[int, RangeConfig]) -> Iterator[tuple[int, _Range]]:
    """Without those that no number is in."""
    for rule, bounds in wanted.items():
        low, high = bounds.min, bounds.max
        if low is None or high is None or low <= high:
            yield rule, (low, high)


def _folded(words: Sequence[str]) -> frozenset[str]:
    return frozenset(map(folded, words))
