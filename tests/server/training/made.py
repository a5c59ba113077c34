"""Labelled text that is easy to learn."""

import random

from server.training.examples import Example

_WORDS = {
    ("bank", "balance"): ("how much money", "my balance please", "what is on my account"),
    ("bank", "transfer"): ("send money to", "transfer to the account of", "pay"),
    ("travel", "book_flight"): ("book a flight to", "i want to fly to", "a plane ticket to"),
}
_WHO = ("ada", "berlin", "carol", "dublin", "eve", "rome", "paris", "oslo", "zoe", "tokyo")
_OUTSIDE = ("tell me a joke about", "why is the sky above", "sing a song of", "who painted")


def examples(count: int, *, seed: int = 1, outside: int = 0) -> list[Example]:
    """As many of each intent, and some about nothing known."""
    chance = random.Random(seed)
    found = [
        Example(f"{chance.choice(begun)} {chance.choice(_WHO)} {i}", intent, domain)
        for (domain, intent), begun in _WORDS.items()
        for i in range(count)
    ]
    texts = (f"{chance.choice(_OUTSIDE)} {chance.choice(_WHO)} {i}" for i in range(outside))
    return found + [Example(text, "", "") for text in texts]
