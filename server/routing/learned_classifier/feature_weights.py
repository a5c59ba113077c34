"""The weights of the features that a classifier knows, and those of the features of a text."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice, repeat

import numpy as np
from numpy.typing import NDArray

from server.routing.learned_classifier.file_format import Contents
from server.routing.learned_classifier.words import (
    PART_CHARS,
    UNKNOWN_WORDS_MAX,
    Splitter,
    pairs,
    parts,
)

Floats = NDArray[np.float32]

_NO_PAIRS: "repeat[dict[str, bytes]]" = repeat({})  # what `map` hands to `dict.get`


class FeatureWeights:
    """A row for each feature: a word, a pair of words, or a part of a word.

    A row is the bytes of L + 2 float32: the weights, the length squared, and the row's number.

    Lengths are added up like weights. By its number no row is like another, so that a set holds
    each of a text's once; bytes remember their hash.
    """

    def __init__(self, contents: Contents) -> None:
        header, count = contents.header, len(contents.vocabulary)
        self._splitter = Splitter()
        width = contents.bias.size + 2
        self._row = np.dtype((np.float32, (width,)))
        table = np.empty((count, width), np.float32)
        np.multiply(contents.weights, contents.scales[:, np.newaxis], out=table[:, :-2])
        table[:, -2] = contents.lengths2
        table[:, -1] = np.arange(count)
        named = zip(contents.vocabulary, _cut(table.tobytes(), self._row.itemsize), strict=True)
        self._words = dict(islice(named, header.words))
        # Pairs are of the same strings as words: those would be a sixth of the memory.
        same = {word: word for word in self._words}
        # By the left word, then by the right one: no key has to be made of both.
        self._pairs: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        for pair, row in islice(named, header.pairs):
            left, right = _two(pair, same)
            self._pairs[left][right] = row
        self._parts = dict(named)

    def of(self, text: str) -> Floats:
        """(R, L + 2): those of the text, each once."""
        words = self._splitter.words(text)
        found = set(map(self._words.get, words))
        if None in found:
            for word in self._unknown(words):
                found.update(map(self._parts.get, parts(word)))
        found.update(self._of_pairs(words))
        return self._table(found)

    def named(self, text: str) -> dict[str, Floats]:
        """The same by what stands in the text; the parts of an unknown word are the word's."""
        words = self._splitter.words(text)
        found: dict[str, set[bytes | None]] = defaultdict(set)
        for word in set(words).intersection(self._words):
            found[word].add(self._words[word])
        for word in self._unknown(words):
            found[word].update(map(self._parts.get, parts(word)))
        for (left, right), row in zip(pairs(words), self._of_pairs(words), strict=True):
            found[f"{left} {right}".strip()].add(row)
        return {name: self._table(rows) for name, rows in sorted(found.items())}

    def _of_pairs(self, words: list[str]) -> Iterator[bytes | None]:
        """In the order of `pairs`; None for those that are not known."""
        followers = map(self._pairs.get, ["", *words], _NO_PAIRS)
        return map(dict.get, followers, [*words, ""])

    def _table(self, rows: set[bytes | None]) -> Floats:
        rows.discard(None)
        # The stubs know neither that None is gone nor that an item may be a row of numbers.
        return np.frombuffer(b"".join(rows), self._row)  # type: ignore[arg-type]

    def _unknown(self, words: list[str]) -> list[str]:
        """The first few that have parts."""
        known = self._words
        unknown = [word for word in words if word not in known and len(word) >= PART_CHARS[0]]
        if len(unknown) <= UNKNOWN_WORDS_MAX:
            return unknown
        return list(dict.fromkeys(unknown))[:UNKNOWN_WORDS_MAX]


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


def _two(pair: str, same: Mapping[str, str]) -> tuple[str, str]:
    left, right = pair.split(" ")
    return same.get(left, left), same.get(right, right)
