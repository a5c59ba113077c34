"""Texts of requests that were decided, waiting to be kept where the operator lets them be."""

from typing import NamedTuple

from server.routing.learned_classifier.words import ends

# Of 2 KB at most, between two pushes to the control plane; of more requests it is a sample.
WAITING_MAX = 100


class RecentText(NamedTuple):
    """Both ends of a request's text, and what was made of it."""

    decision_id: str
    text: str
    domain: str
    intent: str


class RecentTexts:
    """Bounded; off until it is turned on."""

    def __init__(self) -> None:
        self.on = False
        self._waiting: list[RecentText] = []

    def add(self, decision_id: str, text: str, domain: str, intent: str) -> None:
        """Where it is on, there is a text, and not too many wait."""
        if self.on and text and len(self._waiting) < WAITING_MAX:
            self._waiting.append(RecentText(decision_id, ends(text), domain, intent))

    def take(self) -> list[RecentText]:
        """Those that wait; they are forgotten here."""
        waiting, self._waiting = self._waiting, []
        return waiting
