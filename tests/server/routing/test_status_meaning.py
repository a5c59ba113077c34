"""What a failure means, row by row."""

import pytest

from server.routing.status_meaning import STATUS_MEANINGS, Blame, Meaning
from server.status_code import Code

# What each status of an endpoint means: retried elsewhere, whom it speaks against, and what the
# caller sees.
TABLE = [
    (Code.CANCELLED, True, Blame.ENDPOINT, Code.UNAVAILABLE),
    (Code.UNKNOWN, True, Blame.COMPARED, Code.UNKNOWN),
    (Code.INVALID_ARGUMENT, False, Blame.CALLER, Code.INVALID_ARGUMENT),
    (Code.DEADLINE_EXCEEDED, True, Blame.SILENCE, Code.DEADLINE_EXCEEDED),
    (Code.NOT_FOUND, True, Blame.ENDPOINT, Code.UNAVAILABLE),
    (Code.ALREADY_EXISTS, False, Blame.CALLER, Code.ALREADY_EXISTS),
    (Code.PERMISSION_DENIED, True, Blame.ENDPOINT, Code.UNAVAILABLE),
    (Code.RESOURCE_EXHAUSTED, True, Blame.CALLER, Code.UNAVAILABLE),
    (Code.FAILED_PRECONDITION, False, Blame.CALLER, Code.FAILED_PRECONDITION),
    (Code.ABORTED, True, Blame.CALLER, Code.ABORTED),
    (Code.OUT_OF_RANGE, False, Blame.CALLER, Code.OUT_OF_RANGE),
    (Code.UNIMPLEMENTED, True, Blame.ENDPOINT, Code.UNAVAILABLE),
    (Code.INTERNAL, True, Blame.COMPARED, Code.INTERNAL),
    (Code.UNAVAILABLE, True, Blame.ENDPOINT, Code.UNAVAILABLE),
    (Code.DATA_LOSS, True, Blame.COMPARED, Code.DATA_LOSS),
    (Code.UNAUTHENTICATED, True, Blame.ENDPOINT, Code.UNAVAILABLE),
]

# What is in no model's power to do better, and so no miss of any.
CALLERS_FAULT = {
    Code.INVALID_ARGUMENT,
    Code.ALREADY_EXISTS,
    Code.FAILED_PRECONDITION,
    Code.OUT_OF_RANGE,
}
BUSY = {Code.RESOURCE_EXHAUSTED, Code.ABORTED}


def test_every_status_but_ok_has_a_verdict() -> None:
    assert {row[0] for row in TABLE} == set(STATUS_MEANINGS) == set(Code) - {Code.OK}


@pytest.mark.parametrize(("code", "retry", "blame", "caller_sees"), TABLE)
def test_a_failure_is_judged_by_its_status(
    code: Code, retry: bool, blame: Blame, caller_sees: Code
) -> None:
    misses, is_busy = code not in CALLERS_FAULT, code in BUSY
    assert STATUS_MEANINGS[code] == Meaning(retry, blame, caller_sees, misses, is_busy)


@pytest.mark.parametrize("code", [Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.NOT_FOUND])
def test_no_caller_is_told_that_it_was_refused_where_the_endpoint_refused_us(code: Code) -> None:
    assert STATUS_MEANINGS[code].caller_sees is Code.UNAVAILABLE
