"""One table: what a status of an endpoint means.

Whether to try elsewhere, whom it speaks against, and what the caller sees.
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from server.status_code import Code


class Blame(Enum):
    """Whom a failure speaks against."""

    CALLER = "caller"  # nobody upstream
    ENDPOINT = "endpoint"
    # The endpoint, once the same bytes were answered elsewhere: many servers answer INTERNAL to one
    # bad message, but none to a good one that another answers.
    COMPARED = "compared"
    # The same, or once nothing was heard of the endpoint since.
    SILENCE = "silence"


class Meaning(NamedTuple):
    """What a status of an endpoint means."""

    retry: bool  # elsewhere
    blame: Blame
    caller_sees: Code
    misses: bool = True  # the SLO, where nothing better follows; not where the caller is at fault
    is_busy: bool = False  # it is not ill, and more of the same makes it no better


STATUS_MEANINGS: Mapping[Code, Meaning] = {
    # An endpoint that cancels what we did not is shutting down.
    Code.CANCELLED: Meaning(True, Blame.ENDPOINT, Code.UNAVAILABLE),
    Code.UNKNOWN: Meaning(True, Blame.COMPARED, Code.UNKNOWN),
    Code.INVALID_ARGUMENT: Meaning(False, Blame.CALLER, Code.INVALID_ARGUMENT, misses=False),
    # The deadline is the caller's own, passed on: as a rule no time is left for another.
    Code.DEADLINE_EXCEEDED: Meaning(True, Blame.SILENCE, Code.DEADLINE_EXCEEDED),
    # The caller named no model, so a missing one is the endpoint's fault.
    Code.NOT_FOUND: Meaning(True, Blame.ENDPOINT, Code.UNAVAILABLE),
    Code.ALREADY_EXISTS: Meaning(False, Blame.CALLER, Code.ALREADY_EXISTS, misses=False),
    # The endpoint refuses us, not the caller.
    Code.PERMISSION_DENIED: Meaning(True, Blame.ENDPOINT, Code.UNAVAILABLE),
    # Busy is not ill. RESOURCE_EXHAUSTED is money or size where we say it ourselves.
    Code.RESOURCE_EXHAUSTED: Meaning(True, Blame.CALLER, Code.UNAVAILABLE, is_busy=True),
    Code.FAILED_PRECONDITION: Meaning(False, Blame.CALLER, Code.FAILED_PRECONDITION, misses=False),
    Code.ABORTED: Meaning(True, Blame.CALLER, Code.ABORTED, is_busy=True),
    Code.OUT_OF_RANGE: Meaning(False, Blame.CALLER, Code.OUT_OF_RANGE, misses=False),
    Code.UNIMPLEMENTED: Meaning(True, Blame.ENDPOINT, Code.UNAVAILABLE),
    Code.INTERNAL: Meaning(True, Blame.COMPARED, Code.INTERNAL),
    Code.UNAVAILABLE: Meaning(True, Blame.ENDPOINT, Code.UNAVAILABLE),
    Code.DATA_LOSS: Meaning(True, Blame.COMPARED, Code.DATA_LOSS),
    Code.UNAUTHENTICATED: Meaning(True, Blame.ENDPOINT, Code.UNAVAILABLE),
}
