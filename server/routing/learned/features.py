"""What weighs in a text beside its words: pairs of neighbours, beginnings and endings.

Training and serving take them here and nowhere else, so that both see the same.
"""

from collections.abc import Iterator, Sequence

# Beginnings and endings of these lengths stand for a word that was never seen.
PART_CHARS = (3, 4, 5)
# A word has those that are no longer than itself: here by its length, the last for all longer ones.
_PART_CHARS_OF = tuple(
    tuple(n for n in PART_CHARS if n <= length) for length in range(PART_CHARS[-1] + 1)
)
# Each costs a microsecond, and a text of unknown words says little however many are looked at.
UNKNOWN_WORDS_MAX = 16


def pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Neighbours; the first and the last word have nobody, "", on one side."""
    return zip(["", *words], [*words, ""], strict=True)


def parts(word: str) -> list[str]:
    """Its beginnings, as "<wor", and endings, as "ord>"; a short word is a beginning itself."""
    begun, ended = f"<{word}", f"{word}>"
    lengths = _PART_CHARS_OF[min(len(word), PART_CHARS[-1])]
    return [part for n in lengths for part in (begun[: n + 1], ended[-n - 1 :])]
