"""What of the training text becomes rows of weights, and the text as numbers.

A text is the sum of its words and pairs, each by its rarity. A word is itself and its parts, so
that words of one stem share what they learn, and a word never seen is known by its parts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from server.routing.learned_classifier.words import Splitter, pairs, parts

# A pair or a part in fewer texts says more about those texts than about their labels.
TEXTS_MIN = 3
# Against a word itself: by held-out accuracy, on exam questions and on short requests.
PART_WEIGHT = 0.5

Floats = NDArray[np.float64]


class Vocabulary:
    """Words, pairs and parts that get a row of weights, in this order, and how rare each is."""

    def __init__(self, texts: Sequence[str], *, rows_max: int) -> None:
        split = Splitter().words
        in_order = [split(text) for text in texts]
        words = _Kind([set(one) for one in in_order], texts_min=1, rows_max=rows_max // 2)
        parts_of = cache(parts)  # for as long as this takes: words come again and again
        of_parts = [set(chain.from_iterable(map(parts_of, found))) for found in words.of_texts]
        self._parts = _Kind(of_parts, texts_min=TEXTS_MIN, rows_max=rows_max // 4)
        left = rows_max - len(words.rows) - len(self._parts.rows)
        of_pairs = [{f"{a} {b}" for a, b in pairs(one)} for one in in_order]
        self._pairs = _Kind(of_pairs, texts_min=TEXTS_MIN, rows_max=left)
        self._words = words
        # (W, P) what each part adds to a word
        rare = sparse.diags_array(PART_WEIGHT * self._parts.rarity)
        self._in_words = self._parts.incidence(map(parts, words.rows)) @ rare

    @property
    def counts(self) -> tuple[int, int, int]:
        """Of words, pairs and parts."""
        return len(self._words.rows), len(self._pairs.rows), len(self._parts.rows)

    def __iter__(self) -> Iterator[str]:
        """The name of every row."""
        return chain(self._words.rows, self._pairs.rows, self._parts.rows)

    def lengths2(self) -> Floats:
        """(R,) The squared length of each row."""
        in_words = self._in_words.multiply(self._in_words).sum(axis=1)
        return np.concatenate(
            (
                self._words.rarity**2 + in_words,
                self._pairs.rarity**2,
                (PART_WEIGHT * self._parts.rarity) ** 2,
            )
        )

    def matrix(self) -> sparse.csr_array:
        """(N, R) The texts it was made of, each over the root of its rows' squared lengths."""
        words = self._words.incidence(self._words.of_texts)
        both = sparse.hstack((words, self._pairs.incidence(self._pairs.of_texts)))
        lengths2 = both @ self.lengths2()[: both.shape[1]]
        rare = sparse.diags_array(np.concatenate((self._words.rarity, self._pairs.rarity)))
        louder = sparse.diags_array(1 / np.sqrt(np.maximum(lengths2, 1)))
        return sparse.csr_array(louder @ sparse.hstack((both @ rare, words @ self._in_words)))

    def rows(self, weights: Floats) -> Floats:
        """(R, L) What a word, pair or part adds to each label, of the weights of their features."""
        words, pairs_, _ = self.counts
        of_parts = weights[words + pairs_ :]
        return np.concatenate(
            (
                self._words.rarity[:, np.newaxis] * weights[:words] + self._in_words @ of_parts,
                self._pairs.rarity[:, np.newaxis] * weights[words : words + pairs_],
                (PART_WEIGHT * self._parts.rarity)[:, np.newaxis] * of_parts,
            )
        )


class _Kind:
    """Words, pairs or parts: those that stand in the most texts."""

    def __init__(self, of_texts: Sequence[set[str]], *, texts_min: int, rows_max: int) -> None:
        self.of_texts = of_texts
        texts = Counter(chain.from_iterable(of_texts))
        ranked = sorted(((-n, name) for name, n in texts.items() if n >= texts_min))[:rows_max]
        self.rows: Mapping[str, int] = {name: row for row, (_, name) in enumerate(ranked)}
        found_in = np.array([-n for n, _ in ranked], dtype=float)
        self.rarity: Floats = np.log((1 + len(of_texts)) / (1 + found_in)) + 1

    def incidence(self, of_each: Iterable[Iterable[str]]) -> sparse.csr_array:
        """(N, K) 1 where the thing stands in the text."""
        columns = [[self.rows[name] for name in names if name in self.rows] for names in of_each]
        starts = np.cumsum([0, *map(len, columns)], dtype=np.int32)  # as scikit-learn wants them
        at = np.fromiter(chain.from_iterable(columns), np.int32, starts[-1])
        shape = len(columns), len(self.rows)
        return sparse.csr_array((np.ones(len(at)), at, starts), shape=shape)
