"""The labels of a classifier, in the order of its file."""

from collections.abc import Iterable
from typing import NamedTuple

from server.routing.learned_classifier.file_format import LABELS_MAX
from server.training.examples import Example
from server.training.records import DataInvalid

LABELS_MIN = 2  # one would need no classifier


class Labels(NamedTuple):
    """Intents of one domain stand side by side; what is outside comes last."""

    intents: tuple[str, ...]  # empty: the labels are domains
    domains: tuple[str, ...]  # of each intent, or the labels; empty: the intents have none
    outside: bool

    @property
    def named(self) -> int:
        return len(self.intents or self.domains)

    @property
    def total(self) -> int:
        return self.named + self.outside

    def number(self, example: Example) -> int:
        if example.outside:
            return self.named
        if self.intents:
            return self.intents.index(example.intent)
        return self.domains.index(example.domain)


def labels_of(examples: Iterable[Example]) -> Labels:
    """Raises DataInvalid where they contradict each other, or are too few or too many."""
    outside = any(example.outside for example in examples)
    pairs = sorted({(one.domain, one.intent) for one in examples if not one.outside})
    intents = tuple(intent for _, intent in pairs if intent)
    domains = tuple(domain for domain, _ in pairs if domain)
    twice = next((intent for i, intent in enumerate(intents) if intent in intents[:i]), None)
    if twice is not None:
        raise DataInvalid(f"label {twice!r} is in two domains: an intent has one")
    if any(0 < len(some) < len(pairs) for some in (intents, domains)):
        raise DataInvalid(
            "some examples have a label or a domain that others lack: give all of them one"
        )
    most = LABELS_MAX - 2  # two more say that a text is about none of them
    if not LABELS_MIN <= len(pairs) <= most:
        raise DataInvalid(f"there are {len(pairs)} labels: give {LABELS_MIN} to {most}")
    return Labels(intents, domains, outside)
