"""Which kinds of text the markers in a text speak for: source code, its language, mathematics."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import NamedTuple

from server.routing.reading.automaton import automaton
from server.routing.reading.markers import ANY_CODE, CODE, MATHEMATICS

# What the markers that were found have to weigh together.
_CODE_MIN = 2
_MATHEMATICS_MIN = 3
# Code has variables, brackets and numbers as mathematics has.
_MATHEMATICS_OF_CODE_MIN = 6
# Digits weigh as one marker more: a word problem has little else.
_DIGITS_MIN = 2

NAMES = frozenset({"code", "mathematics"})

_ANY_CODE, _MATHEMATICS = "any code", "mathematics"

_LANGUAGES = frozenset(CODE)
_Kinds = tuple[tuple[str, int], ...]  # what a marker speaks for, and its weight
_MARKER = itemgetter(1)  # of a find, which is its end and (marker, kinds)


def _kinds_by_marker() -> Mapping[str, _Kinds]:
    tables = {**CODE, _ANY_CODE: ANY_CODE, _MATHEMATICS: MATHEMATICS}
    kinds: defaultdict[str, _Kinds] = defaultdict(tuple)
    for kind, markers in tables.items():
        for marker, weight in markers.items():
            kinds[marker] += ((kind, weight),)
    return kinds


_MARKERS = automaton((marker, (marker, kinds)) for marker, kinds in _kinds_by_marker().items())


class Evidence(NamedTuple):
    """What the markers of a text say."""

    names: list[str]
    code_language: str  # empty: there is no code, or it is not clear


def evidence(lower: str) -> Evidence:
    """The text is in lower case."""
    found = dict(map(_MARKER, _MARKERS.iter(lower)))  # one that is repeated counts once
    if not found:
        return _NO_EVIDENCE
    weights = _weights(found.values())
    language = _code_language(weights)
    is_code = bool(language) or weights[_ANY_CODE] >= _CODE_MIN
    names = ["code"] if is_code else []
    if _is_mathematics(lower, weights[_MATHEMATICS], is_code):
        names.append("mathematics")
    return Evidence(names, language)


_NO_EVIDENCE = Evidence([], "")


def _weights(found: Iterable[_Kinds]) -> defaultdict[str, int]:
    """What markers weigh for each kind, by what each speaks for."""
    weights: defaultdict[str, int] = defaultdict(int)
    for kinds in found:
        for kind, weight in kinds:
            weights[kind] += weight
    return weights


def _code_language(weights: Mapping[str, int]) -> str:
    """The language that most speaks for, where it is code at all."""
    said = sorted(_LANGUAGES.intersection(weights))
    if not said:
        return ""
    best = max(said, key=weights.__getitem__)
    weight = weights[best] + weights.get(_ANY_CODE, 0)
    return best if weight >= _CODE_MIN else ""


def _is_mathematics(lower: str, weight: int, is_code: bool) -> bool:
    if weight < _MATHEMATICS_MIN - 1:
        return False
    digits = sum(map(lower.count, "0123456789"))
    needed = _MATHEMATICS_OF_CODE_MIN if is_code else _MATHEMATICS_MIN
    return weight + (digits >= _DIGITS_MIN) >= needed
