"""Decides whether and when a call is sent again. No clock, no dice, no waiting."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently a call is sent again, where that is safe.

    By default over two to three seconds, which outlasts the restart of a worker.
    """

    attempts_max: int = 6  # 1: never again
    backoff_first_s: float = 0.1
    backoff_s_max: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a client grants each of its calls."""

    timeout_s: float | None
    retry: RetryPolicy

    def call(self, request: Message, timeout_s: float | None, *, now_s: float) -> "Call":
        """Begins a call; `timeout_s` goes before the client's own."""
        granted_s = self.timeout_s if timeout_s is None else timeout_s
        ends_s = None if granted_s is None else now_s + granted_s
        return Call(self.retry, ends_s=ends_s, repeatable=isinstance(request, _REPEATABLE))


class Call:
    """One call and its attempts. Is told what happened and when."""

    def __init__(self, retry: RetryPolicy, *, ends_s: float | None, repeatable: bool) -> None:
        self.may_have_arrived = False  # one of the attempts that failed
        self._repeatable = repeatable
        self._ends_s = ends_s
        self._retry = retry
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
        return wait_s if wait_s < (WAIT_S_MAX if left_s is None else left_s) else None

    def _next_backoff_s(self, random: float) -> float:
        """Between half and all of a pause that doubles, so that callers do not return as one."""
        backoff_s = min(self._backoff_s, self._retry.backoff_s_max)
        self._backoff_s = backoff_s * 2
        return backoff_s * (1 + random) / 2


def _no_model_asked(error: TurnoutError) -> bool:
    """Turnout asks to be called again only where it has sent the request nowhere."""
    asked_again = error.domain == TURNOUT and error.retry_after_s is not None
    return isinstance(error, Unreachable) or asked_again
