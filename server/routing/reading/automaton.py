"""Many words looked for in one pass over a text."""

from collections.abc import Iterable

import ahocorasick

_BY_FREQUENCY = " etaoinshrdlucmfwygpbvk"


def automaton(words: Iterable[tuple[str, object]]) -> ahocorasick.Automaton:
    """Tells for each place where a word ends what came with it. Without words it cannot be used."""
    built = ahocorasick.Automaton()
    # A node looks through its children in the order they came: the commonest letters first.
    for word, told in sorted(words, key=_frequency):
        built.add_word(word, told)
    built.make_automaton()
    return built


def _frequency(entry: tuple[str, object]) -> tuple[int, ...]:
    return tuple(_BY_FREQUENCY.find(char) % len(_BY_FREQUENCY) for char in entry[0])
