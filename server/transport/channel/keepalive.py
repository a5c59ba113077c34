"""Finds a peer that is dead while calls wait for it, without asking so often that a live one minds.

The servers of gRPC count a ping that comes within five minutes of the last as a strike, unless they
have answered something in between, and end the connection at the third strike. We make one in a
silence: the first ping is free, the second comes early, every other after more than five minutes.
"""

from enum import Enum, auto
from typing import NamedTuple


class Keepalive(NamedTuple):
    """How long a peer may be silent while calls are out."""

    # Models think for seconds; a ping costs the two of us nothing that counts.
    silence_s: float = 10.0  # before the first ping; twice that between the first and the second
    # Three round trips of half the world, and a peer that is busy.
    answer_s: float = 5.0  # a ping that is not answered within this: the peer is dead
    patience_s: float = 310.0  # between all other pings of one silence


class Action(Enum):
    WAIT = auto()
    PING = auto()
    GIVE_UP = auto()


class Step(NamedTuple):
    """What to do now, and when to ask next."""

    action: Action
    next_s: float


class Silence:
    """Is told what a peer says; says when to ask it for a sign of life and when to give it up."""

    def __init__(self, keepalive: Keepalive, *, now_s: float) -> None:
        self._keepalive = keepalive
        self._heard_s = now_s  # the peer said something
        self._since_s = now_s  # it began, or was interrupted by a ping's answer
        self.pings = 0  # since the peer answered a call
        self._unanswered_s: float | None = None  # when the ping was sent that has no answer

    def note_call(self, now_s: float) -> None:
        """A call breaks the rest of a connection; the peer goes on counting pings."""
        self._since_s = now_s
        self._unanswered_s = None

    def note_answer(self) -> None:
        """What was heard last answers a call: the peer forgets the pings that it has counted."""
        self._since_s = self._heard_s
        self.pings = 0
        self._unanswered_s = None

    def note_word(self, now_s: float) -> None:
        """The peer lives, but works on the same calls as before.

        Whatever it says will do: the answer to a ping may be late behind a large request.
        """
        self._heard_s = self._since_s = now_s
        self._unanswered_s = None

    def step(self, now_s: float) -> Step:
        if self._unanswered_s is not None:
            dead_s = self._unanswered_s + self._keepalive.answer_s
            return Step(Action.GIVE_UP if now_s >= dead_s else Action.WAIT, dead_s)
        due_s = self._since_s + self._pause_s()
        if now_s < due_s:
            return Step(Action.WAIT, due_s)
        self.pings += 1
        self._unanswered_s = now_s
        return Step(Action.PING, now_s + self._keepalive.answer_s)

    def _pause_s(self) -> float:
        if self.pings == 0:
            return self._keepalive.silence_s
        return 2 * self._keepalive.silence_s if self.pings == 1 else self._keepalive.patience_s
