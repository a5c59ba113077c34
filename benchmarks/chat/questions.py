"""Questions with known short answers, capitals and sums: those to measure by, and those to ask."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_CAPITALS = """\
France Paris, Italy Rome, Spain Madrid, Germany Berlin, Japan Tokyo, Egypt Cairo, Greece Athens,
Portugal Lisbon, Austria Vienna, Poland Warsaw, Russia Moscow, China Beijing, Canada Ottawa,
Australia Canberra, Brazil Brasilia, Chile Santiago, Peru Lima, Cuba Havana, Norway Oslo,
Sweden Stockholm, Finland Helsinki, Denmark Copenhagen, Ireland Dublin, Hungary Budapest,
Turkey Ankara, Iran Tehran, Iraq Baghdad, Kenya Nairobi, Thailand Bangkok, Vietnam Hanoi,
Belgium Brussels, Netherlands Amsterdam, Switzerland Bern, Iceland Reykjavik, Bulgaria Sofia,
Serbia Belgrade, Croatia Zagreb, Lebanon Beirut, Syria Damascus, Libya Tripoli, Tunisia Tunis,
Morocco Rabat, Ethiopia Ababa, Nigeria Abuja, Ghana Accra, Senegal Dakar, Indonesia Jakarta,
Philippines Manila, Malaysia Lumpur, Nepal Kathmandu, Pakistan Islamabad, Afghanistan Kabul,
Mongolia Ulaanbaatar, Colombia Bogota, Venezuela Caracas, Ecuador Quito, Jamaica Kingston,
Estonia Tallinn, Latvia Riga, Lithuania Vilnius"""
_ADDENDS = range(2, 13)
_SHUFFLED_BY = 55  # what is measured is then about as hard as what is asked
_MEASURED = 20  # of each kind


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    answer: str  # one word or number

    def is_answered_by(self, words: str) -> bool:
        """No addend is the sum, and no country its capital: where it stands does not matter."""
        return self.answer in re.findall(r"\w+", words)


class Questions(NamedTuple):
    """Half of each kind, in no order."""

    measured: tuple[Question, ...]  # what is known of models before the first request
    asked: tuple[Question, ...]


def questions() -> Questions:
    """The same each time."""
    shuffle = random.Random(_SHUFFLED_BY).shuffle
    capitals, sums = list(_capitals()), list(_sums())
    shuffle(capitals)
    shuffle(sums)
    asked = capitals[_MEASURED:] + sums[_MEASURED : len(capitals)]
    return Questions(tuple(capitals[:_MEASURED] + sums[:_MEASURED]), tuple(asked))


def _capitals() -> Iterator[Question]:
    for pair in _CAPITALS.replace("\n", " ").split(", "):
        country, capital = pair.split()
        yield Question(f"What is the capital of {country}?", capital)


def _sums() -> Iterator[Question]:
    for one in _ADDENDS:
        for other in _ADDENDS:
            yield Question(f"What is {one} + {other}?", str(one + other))
