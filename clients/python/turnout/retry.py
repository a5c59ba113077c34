"""Decides whether and when a call is sent again. No clock, no dice, no waiting."""

import threading
from dataclasses import dataclass

from google.protobuf.message import Message

from turnout.errors import TurnoutError, Unavailable, Unreachable
from turnout.status import TURNOUT
from turnout.v1.routing_pb2 import ReportRequest, RouteBatchRequest, RouteRequest

# What may be done twice: a second decision costs nothing, an outcome counts once. A second
# inference is paid for.
_REPEATABLE = (RouteRequest, RouteBatchRequest, ReportRequest)

# A call without a deadline waits no longer than this between two attempts: its caller is told
# `retry_after_s` instead and decides.
WAIT_S_MAX = 30.0
# Turnout has more to do than it can, or than this key may ask for: to be asked again adds to that.
_TOO_MUCH = frozenset({"SHED", "OVERLOADED", "KEY_RATE", "KEY_BUSY"})
# Ten tenths are one, but for their last digits.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently a call is sent again, where that is safe.

    By default over two to three seconds, which outlasts the restart of a worker.
    """

    attempts_max: int = 6  # 1: never again
    backoff_first_s: float = 0.1
    backoff_s_max: float = 2.0
    # What was refused as too much is sent again only within a budget of the whole client: so many
    # at first, and then this part of what is answered. More would add load where there is too much.
    refused_max: int = 10
    refused_ratio: float = 0.1


class RetryBudget:
    """How many calls that were refused as too much may be sent again. Threads may share it."""

    def __init__(self, retry: RetryPolicy) -> None:
        self._most = float(retry.refused_max)
        self._ratio = retry.refused_ratio
        self._left = self._most
        self._lock = threading.Lock()

    def earn(self) -> None:
        """A call was answered."""
        with self._lock:
            self._left = min(self._left + self._ratio, self._most)

    def spend(self) -> bool:
        """Whether one more may be sent again; if so, it is paid for."""
        with self._lock:
            if self._left < 1 - _ROUNDING:
                return False
            self._left -= 1
            return True


class Terms:
    """What a client grants its calls: to each the same time, to all together one budget."""

    def __init__(self, *, timeout_s: float | None, retry: RetryPolicy) -> None:
        self.timeout_s = timeout_s
        self.retry = retry
        self._budget = RetryBudget(retry)

    def call(self, request: Message, timeout_s: float | None, *, now_s: float) -> "Call":
        """Begins a call; `timeout_s` goes before the client's own."""
        granted_s = self.timeout_s if timeout_s is None else timeout_s
        ends_s = None if granted_s is None else now_s + granted_s
        repeatable = isinstance(request, _REPEATABLE)
        return Call(self.retry, self._budget, ends_s=ends_s, repeatable=repeatable)


class Call:
    """One call and its attempts. Is told what happened and when."""

    def __init__(
        self, retry: RetryPolicy, budget: RetryBudget, *, ends_s: float | None, repeatable: bool
    ) -> None:
        self.may_have_arrived = False  # one of the attempts that failed
        self._repeatable = repeatable
        self._ends_s = ends_s
        self._retry = retry
        self._budget = budget
        self._attempts = 0
        self._backoff_s = retry.backoff_first_s

    def left_s(self, now_s: float) -> float | None:
        return None if self._ends_s is None else self._ends_s - now_s

    def wait_s(self, error: TurnoutError, *, now_s: float, random: float) -> float | None:
        """How long to wait before the next attempt; None where there must be none.

        Never sooner than the server asked for, and never past the deadline.
        """
        self._attempts += 1
        self.may_have_arrived = self.may_have_arrived or not isinstance(error, Unreachable)
        safe = isinstance(error, Unavailable) and (self._repeatable or _no_model_asked(error))
        if not safe or self._attempts >= self._retry.attempts_max:
            return None
        wait_s = (error.retry_after_s or 0.0) + self._next_backoff_s(random)
        left_s = self.left_s(now_s)
        if wait_s >= (WAIT_S_MAX if left_s is None else left_s):
            return None
        return None if _is_too_much(error) and not self._budget.spend() else wait_s

    def answered(self) -> None:
        """The call is over, and well: others may be sent again for it."""
        self._budget.earn()

    def _next_backoff_s(self, random: float) -> float:
        """Between half and all of a pause that doubles, so that callers do not return as one."""
        backoff_s = min(self._backoff_s, self._retry.backoff_s_max)
        self._backoff_s = backoff_s * 2
        return backoff_s * (1 + random) / 2


def _is_too_much(error: TurnoutError) -> bool:
    return error.domain == TURNOUT and error.reason in _TOO_MUCH


def _no_model_asked(error: TurnoutError) -> bool:
    """Turnout asks to be called again only where it has sent the request nowhere."""
    asked_again = error.domain == TURNOUT and error.retry_after_s is not None
    return isinstance(error, Unreachable) or asked_again
