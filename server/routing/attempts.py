"""The life of an Infer as a pure state machine: told how an attempt ended, it says what comes next.

One table gives for each status of an endpoint whether to try elsewhere, whom it speaks against, and
what the caller sees.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from server.status_code import Code

# One more model is asked before the caller hears of a failure: a second retry would add load just
# when a fleet is in trouble.
RETRIES_MAX = 1
# What the way back takes: a retry or an answer later than this before the deadline is no use.
MARGIN_S = 0.005


class Blame(Enum):
    """Whom a failure speaks against."""

    CALLER = "caller"  # nobody upstream
    ENDPOINT = "endpoint"
    # The endpoint, once several tenants saw it: many servers answer INTERNAL to one bad message.
    SUSPECT = "suspect"


class Verdict(NamedTuple):
    """What a status of an endpoint means."""

    retry: bool  # on another model
    blame: Blame
    caller_sees: Code
    misses: bool = True  # the SLO, where nothing better follows; not where the caller is at fault


VERDICTS: Mapping[Code, Verdict] = {
    # An endpoint that cancels what we did not is shutting down.
    Code.CANCELLED: Verdict(True, Blame.ENDPOINT, Code.UNAVAILABLE),
    Code.UNKNOWN: Verdict(True, Blame.SUSPECT, Code.UNKNOWN),
    Code.INVALID_ARGUMENT: Verdict(False, Blame.CALLER, Code.INVALID_ARGUMENT, misses=False),
    # The deadline is the caller's own, passed on: no time is left for another.
    Code.DEADLINE_EXCEEDED: Verdict(False, Blame.CALLER, Code.DEADLINE_EXCEEDED),
    # The caller named no model, so a missing one is the endpoint's fault.
    Code.NOT_FOUND: Verdict(True, Blame.ENDPOINT, Code.UNAVAILABLE),
    Code.ALREADY_EXISTS: Verdict(False, Blame.CALLER, Code.ALREADY_EXISTS, misses=False),
    # The endpoint refuses us, not the caller.
    Code.PERMISSION_DENIED: Verdict(True, Blame.ENDPOINT, Code.UNAVAILABLE),
    # Busy is not ill. RESOURCE_EXHAUSTED is money or size where we say it ourselves.
    Code.RESOURCE_EXHAUSTED: Verdict(True, Blame.CALLER, Code.UNAVAILABLE),
    Code.FAILED_PRECONDITION: Verdict(False, Blame.CALLER, Code.FAILED_PRECONDITION, misses=False),
    Code.ABORTED: Verdict(True, Blame.CALLER, Code.ABORTED),
    Code.OUT_OF_RANGE: Verdict(False, Blame.CALLER, Code.OUT_OF_RANGE, misses=False),
    Code.UNIMPLEMENTED: Verdict(True, Blame.ENDPOINT, Code.UNAVAILABLE),
    Code.INTERNAL: Verdict(True, Blame.SUSPECT, Code.INTERNAL),
    Code.UNAVAILABLE: Verdict(True, Blame.ENDPOINT, Code.UNAVAILABLE),
    Code.DATA_LOSS: Verdict(True, Blame.SUSPECT, Code.DATA_LOSS),
    Code.UNAUTHENTICATED: Verdict(True, Blame.ENDPOINT, Code.UNAVAILABLE),
}


class Attempts:
    """Which model to ask, and after a failure which next."""

    def __init__(self, models: Sequence[int], *, deadline_s: float) -> None:
        """`models` in the order to try; `deadline_s` on the clock of every later `now_s`."""
        self._left = list(models[: RETRIES_MAX + 1])
        self._deadline_s = deadline_s
        self.made = 0

    def next(self, now_s: float) -> int | None:
        """The model to ask now; None: none is left, or no time."""
        if not self._left or self.time_left_s(now_s) <= 0:
            return None
        self.made += 1
        return self._left.pop(0)

    def failed(self, code: Code) -> Verdict:
        """What the failure means; after one that is not retried, `next` has nothing more."""
        verdict = VERDICTS[code]
        if not verdict.retry:
            self._left.clear()
        return verdict

    def time_left_s(self, now_s: float) -> float:
        """What an endpoint may take: the caller's deadline less the way back."""
        return self._deadline_s - MARGIN_S - now_s
