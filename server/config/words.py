"""What a keyword is, and where in a text it stands: between word boundaries, whatever its case."""

from functools import lru_cache
from unicodedata import category

# Unicode's categories: accents, and what words are made of. Letters without case are not among it,
# for Chinese or Thai does not part words by spaces, and Korean or Hebrew joins particles to them.
_MARKS = frozenset({"Mn", "Mc", "Me"})
_OF_WORDS = _MARKS | {"Ll", "Lu", "Lt", "Nd", "Nl", "No"}


def folded(keyword: str) -> str:
    """The keyword as it is looked for: without case, its words one space apart."""
    return " ".join(keyword.split()).casefold()


def stands_alone(text: str, end: int, word: str) -> bool:
    """The word that ends at `end` (inclusive) is not part of a longer one."""
    start = end - len(word) + 1
    before = start > 0 and _joined(text[start - 1], word[0])
    after = end + 1 < len(text) and _joined(word[-1], text[end + 1])
    return not before and not after


def stands_in(word: str, text: str) -> bool:
    """Somewhere in the text the word stands alone; both are folded."""
    at = text.find(word)
    while at >= 0:
        if stands_alone(text, at + len(word) - 1, word):
            return True
        at = text.find(word, at + 1)
    return False


# A text has few letters, and may have thousands of places where a keyword could stand.
@lru_cache(4_096)
def _joined(left: str, right: str) -> bool:
    """Two neighbours are of one word: an accent and what it stands on, or letters and digits."""
    of_right = category(right)
    return of_right in _MARKS or (of_right in _OF_WORDS and category(left) in _OF_WORDS)
