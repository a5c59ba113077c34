"""The least that finding keywords could cost: the text folded and read once, no hit looked at."""

from collections import deque
from collections.abc import Iterable

import ahocorasick


class KeywordPass:
    """One pass of an automaton over a text."""

    def __init__(self, words: Iterable[str]) -> None:
        self._automaton = ahocorasick.Automaton()
        for word in words:
            self._automaton.add_word(word, word)
        self._automaton.make_automaton()

    def over(self, text: str) -> None:
        deque(
            self._automaton.iter(text.casefold()), maxlen=0
        )  # the fastest way to an iterator's end
