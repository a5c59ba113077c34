"""Finds all keywords of all rules at once.

Most keywords are words of ASCII letters and digits, and most texts are ASCII. For these the text is
spelled in lower case with a space for everything else, and a keyword is looked for with a space on
each side: one pass that looks at no boundary, for the spaces are the boundaries; in a long text the
words are compared instead. Other keywords and other texts take a pass that looks at the neighbours
of each find.
"""

from collections.abc import Iterable, Iterator, Set
from operator import itemgetter

import ahocorasick

from server.config.words import folded, stands_alone, stands_in
from server.routing.reading.automaton import automaton
from server.routing.reading.word_scan import WordScan

# From so many characters on, a scan of the words surely takes less time than the automaton.
SCANNED_CHARS = 8_000
_SPELLED = bytes(
    ord(chr(code).lower()) if chr(code).isalnum() else ord(" ") for code in range(0x80)
).ljust(256)

_WORD = itemgetter(1)  # of a find, which is its end and its word

NOTHING: Set[str] = frozenset()


class Keywords:
    """The keywords of one configuration, compiled.

    The words of a phrase may be parted by one space, tab or line break.
    """

    def __init__(self, keywords: Iterable[str]) -> None:
        known = {folded(word) for word in keywords} - {""}
        plain = {word for word in known if _is_plain(word)}
        odd = {word for word in known - plain if word.isascii()}
        self._any = bool(known)
        self._phrases = frozenset(word for word in plain if " " in word)
        self._plain = automaton((f" {word} ", word) for word in plain)
        self._scan = WordScan(plain)
        self._odd = automaton((word, word) for word in odd)
        self._all = automaton((word, word) for word in known)

    def find(self, text: str) -> Set[str]:
        """Those that stand in the text between word boundaries, as `folded` has them."""
        if not self._any or not text:
            return NOTHING
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        if not text.isascii():
            return set(_standing(self._all, _on_one_line(text.casefold())))
        found = self._find_plain(text) if self._plain else set()
        if self._odd:
            found.update(_standing(self._odd, _on_one_line(text.lower())))
        return found

    def _find_plain(self, text: str) -> set[str]:
        spelled = f" {text} ".encode().translate(_SPELLED)
        found = None if len(text) < SCANNED_CHARS else self._scan.find(spelled)
        if found is None:
            found = set(map(_WORD, self._plain.iter(spelled.decode())))
        phrases = found & self._phrases
        if phrases:
            # Only white space parts the words of a phrase: "tax, law" is no "tax law".
            line = _on_one_line(text.lower())
            found -= {phrase for phrase in phrases if not stands_in(phrase, line)}
        return found


def _is_plain(word: str) -> bool:
    return all(part.isascii() and part.isalnum() for part in word.split(" "))


def _standing(known: ahocorasick.Automaton, line: str) -> Iterator[str]:
    seen: set[str] = set()
    for end, word in known.iter(line):
        if word not in seen and stands_alone(line, end, word):
            seen.add(word)
            yield word


def _on_one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").replace("\xa0", " ")
