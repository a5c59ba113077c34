"""What a text is made of or asks for: data, code and its language, mathematics, lists, questions.

Judged from its first and last characters by what gives a kind away; docs/classification.md says how
often that is right.
"""

from collections.abc import Set
from typing import NamedTuple

from server.routing.reading import evidence, layout, openings
from server.routing.reading.content import EVIDENCE_CHARS, glance

CODE_LANGUAGE = "code language"  # asked for beside the names
ALL = layout.NAMES | evidence.NAMES | openings.NAMES | {CODE_LANGUAGE}


class Structure(NamedTuple):
    """The names of server.config.match.Structure that hold, and the language of the code."""

    names: tuple[str, ...]
    code_language: str  # empty: there is no code, or it is not clear


def structure_of(text: str, wanted: Set[str] = ALL) -> Structure:
    """What a text is made of or asks for, as far as that is wanted."""
    sample = glance(text)
    lower = sample.lower()
    names: list[str] = []
    code_language = ""
    if not wanted.isdisjoint(_OF_EVIDENCE):
        found, code_language = evidence.evidence(lower[:EVIDENCE_CHARS])
        names += found
    if not wanted.isdisjoint(layout.NAMES):
        names += layout.names(sample)
    if not wanted.isdisjoint(openings.NAMES):
        names += openings.names(lower)
    return Structure(tuple(names), code_language) if names else _NO_STRUCTURE


_NO_STRUCTURE = Structure((), "")  # there is no code without its name
_OF_EVIDENCE = evidence.NAMES | {CODE_LANGUAGE}
