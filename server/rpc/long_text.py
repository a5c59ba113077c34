"""Texts as they lie in a request: of a long one only the ends are decoded, the rest is counted."""

from typing import NamedTuple

# At four bytes a character it takes 1 MB of memory; reading looks at far less.
TEXT_BYTES_MAX = 256 * 2**10
_BYTES_A_TOKEN = 4
_CHARACTER_BYTES_MAX = 4
_HIGH_BITS, _GOES_ON = 0xC0, 0x80  # of a byte that is not a character's first


class LongText(NamedTuple):
    """A text, and how many tokens more it has than what was decoded of it."""

    text: str
    more_tokens: int


def decode_text(data: memoryview) -> LongText:
    """Decodes a text, or the two ends of a long one; raises UnicodeDecodeError."""
    if len(data) <= TEXT_BYTES_MAX:
        return LongText(str(data, "utf-8"), 0)
    half = TEXT_BYTES_MAX // 2
    first = str(data[: _character(data, half)], "utf-8")
    last = str(data[_character(data, len(data) - half) :], "utf-8")
    return LongText(f"{first}\n{last}", (len(data) - TEXT_BYTES_MAX) // _BYTES_A_TOKEN)


def _character(data: memoryview, at: int) -> int:
    """The first place from `at` on where a character begins, if these are characters."""
    for place in range(at, at + _CHARACTER_BYTES_MAX):
        if data[place] & _HIGH_BITS != _GOES_ON:
            return place
    return at
