"""Decides when a connection is asked for a sign of life, retires or is given up."""

import math
from enum import Enum, auto
from typing import NamedTuple

from server.transport.serving.limits import ServerLimits

# A peer that has not answered the ping behind the first GOAWAY by then has had its chance: calls
# that it begins later are refused, unprocessed, and it may send them elsewhere.
ACKNOWLEDGE_S = 2.0


class Action(Enum):
    WAIT = auto()
    PING = auto()
    RETIRE = auto()  # the first GOAWAY, with a ping
    LEAVE = auto()  # the second GOAWAY
    END = auto()  # with all its calls
    END_OTHERS = auto()  # all its calls but those that are seen through
    GIVE_UP = auto()  # at once, for the peer is of no use


class Due(NamedTuple):
    action: Action
    limit: str = ""  # the limit that was reached, if one was


class Look(NamedTuple):
    """How a connection stands at one moment."""

    calls: int  # open, of any kind
    is_congested: bool  # the peer reads more slowly than we write
    is_behind: bool = False  # what it said last may wait to be handled
    lasting: int = 0  # of the calls, those that are seen through


_WAIT = Due(Action.WAIT)


class Watch:
    """Is told what happens and when; never sleeps, never reads a clock."""

    __slots__ = (
        "_age_s", "_began_s", "_limits", "_pinged_s", "_retired_s", "called_s", "has_left",
        "received_s",
    )  # fmt: skip

    def __init__(self, limits: ServerLimits, *, chance: float, now_s: float) -> None:
        """`chance` in [0, 1) spreads the ages at which connections retire."""
        self._limits = limits
        self._began_s = now_s
        self._age_s = limits.age_s_max * (0.9 + 0.2 * chance)
        # When something came last; None while nothing has come since our ping. Their times cannot
        # be compared: on a clock that goes in steps, as uvloop's does, they may be the same.
        self.received_s: float | None = now_s
        self._pinged_s = now_s
        self.called_s = now_s  # calls were open, or began
        self._retired_s: float | None = None
        self.has_left = False

    @property
    def look_s(self) -> float:
        """How often to look, so that no limit is passed by more than half of it."""
        limits = self._limits
        is_retiring = self._retired_s is not None and not self.has_left
        return 0.5 * min(
            *(limits.request_s_max, limits.stall_s_max, limits.idle_s_max, limits.age_s_max),
            *(limits.keepalive_s, limits.keepalive_answer_s_max, limits.retirement_s_max),
            ACKNOWLEDGE_S if is_retiring else math.inf,
        )

    def retire(self, now_s: float) -> bool:
        """True the first time: then the first GOAWAY is due."""
        if self._retired_s is not None:
            return False
        self._retired_s = now_s
        return True

    def leave(self) -> bool:
        """True the first time: then the second GOAWAY is due."""
        if self.has_left:
            return False
        self.has_left = True
        return True

    def look(self, look: Look, *, now_s: float) -> Due:
        """What to do now."""
        if look.calls:
            self.called_s = now_s
        return (
            self._departure(look, now_s)
            or self._silence(look, now_s)
            or self._end_of_service(look, now_s)
            or _WAIT
        )

    def _silence(self, look: Look, now_s: float) -> Due | None:
        """A dead peer's calls would stay open for ever; one without calls is merely idle."""
        # We do not read while the peer does not, so no answer can come; a stall ends it.
        if look.is_congested or look.is_behind:
            self.received_s = now_s
        if self.received_s is None:
            dead = now_s - self._pinged_s >= self._limits.keepalive_answer_s_max
            return Due(Action.GIVE_UP, "keepalive") if dead else None
        if look.calls and now_s - self.received_s >= self._limits.keepalive_s:
            self._pinged_s, self.received_s = now_s, None
            return Due(Action.PING)
        return None

    def _end_of_service(self, look: Look, now_s: float) -> Due | None:
        if self._retired_s is not None:
            return None
        if not look.calls and now_s - self.called_s >= self._limits.idle_s_max:
            return Due(Action.RETIRE, "idle")
        if now_s - self._began_s >= self._age_s:
            return Due(Action.RETIRE, "age")
        return None

    def _departure(self, look: Look, now_s: float) -> Due | None:
        if self._retired_s is None:
            return None
        since_s = now_s - self._retired_s
        if since_s >= self._limits.retirement_s_max:
            if not look.lasting:
                return Due(Action.END, "retirement")
            if look.calls > look.lasting:
                return Due(Action.END_OTHERS, "retirement")
        if not self.has_left and since_s >= ACKNOWLEDGE_S:
            return Due(Action.LEAVE)
        return None
