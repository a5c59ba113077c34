"""Which script a text is written in, by the blocks of Unicode that its letters are of."""

from collections import Counter
from collections.abc import Mapping

# As many characters say what the rest is written in: headings and names are seldom longer.
SAMPLE_CHARS = 256

# Unicode gives out its blocks in multiples of 16, scripts nearly always in multiples of 128.
_BLOCK_BITS = 7
_RANGES: Mapping[str, tuple[tuple[int, int], ...]] = {
    "latin": ((0x0080, 0x02FF), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF)),
    "greek": ((0x0380, 0x03FF), (0x1F00, 0x1FFF)),
    "cyrillic": ((0x0400, 0x052F), (0x2DE0, 0x2DFF), (0xA640, 0xA69F)),
    "armenian": ((0x0530, 0x057F),),
    "hebrew": ((0x0580, 0x05FF),),
    "arabic": ((0x0600, 0x06FF), (0x0750, 0x077F), (0x08A0, 0x08FF), (0xFB80, 0xFDFF)),
    "devanagari": ((0x0900, 0x097F),),
    "bengali": ((0x0980, 0x09FF),),
    "tamil": ((0x0B80, 0x0BFF),),
    "thai": ((0x0E00, 0x0E7F),),
    "georgian": ((0x1080, 0x10FF),),
    "hangul": ((0x1100, 0x11FF), (0xAC00, 0xD7FF)),
    "kana": ((0x3000, 0x30FF),),
    "han": ((0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
}
_SCRIPT_OF = {
    block: script
    for script, ranges in _RANGES.items()
    for first, last in ranges
    for block in range(first >> _BLOCK_BITS, (last >> _BLOCK_BITS) + 1)
}
# Japanese mixes its own letters with Han characters; a tenth of them is enough to tell.
_KANA_SHARE = 0.1
# A character of these stands for about as much as so many letters of others.
_LETTERS_EACH = {"han": 2, "hangul": 2, "kana": 2}


def script_of(text: str) -> str:
    """The script that most of the letters are of; empty without letters."""
    if text.isascii():
        return "latin" if any(map(str.isalpha, text[:SAMPLE_CHARS])) else ""
    letters = _letters(text[:SAMPLE_CHARS])
    if not letters:
        return ""
    kana, han = letters.get("kana", 0), letters.get("han", 0)
    if kana > _KANA_SHARE * (kana + han):
        letters["kana"] = kana + letters.pop("han", 0)
    return max(letters, key=lambda script: letters[script])


def _letters(sample: str) -> dict[str, int]:
    """How many letters are of each script."""
    codes = [ord(letter) for letter in sample if letter.isalpha()]
    letters: Counter[str] = Counter()
    for block, count in Counter(code >> _BLOCK_BITS for code in codes).items():
        script = _SCRIPT_OF.get(block, "") if block else "latin"
        if script:
            letters[script] += count * _LETTERS_EACH.get(script, 1)
    return dict(letters)
