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


class Structures:
    """Tells what texts are made of or ask for, as far as that is wanted."""

    def __init__(self, wanted: Set[str] = ALL) -> None:
        self._evidence = not wanted.isdisjoint(evidence.NAMES | {CODE_LANGUAGE})
        self._layout = not wanted.isdisjoint(layout.NAMES)
        self._openings = not wanted.isdisjoint(openings.NAMES)

    def of(self, text: str) -> Structure:
        """What this text is made of or asks for."""
        sample = glance(text)
        lower = sample.lower()
        names: list[str] = []
        code_language = ""
        if self._evidence:
            found, code_language = evidence.evidence(lower[:EVIDENCE_CHARS])
            names += found
        if self._layout:
            names += layout.names(sample)
        if self._openings:
            names += openings.names(lower)
        return Structure(tuple(names), code_language) if names else _NO_STRUCTURE


_NO_STRUCTURE = Structure((), "")  # there is no code without its name
