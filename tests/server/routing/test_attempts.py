"""What a failure means, row by row, and what is tried after it."""

import pytest

from server.routing.attempts import MARGIN_S, VERDICTS, Attempts, Blame, Verdict
from server.status_code import Code

# What each status of an endpoint means: retried on another model, whom it speaks against, and what
# the caller sees.
TABLE = [
    (Code.CANCELLED, True, Blame.ENDPOINT, Code.UNAVAILABLE),
    (Code.UNKNOWN, True, Blame.SUSPECT, Code.UNKNOWN),
    (Code.INVALID_ARGUMENT, False, Blame.CALLER, Code.INVALID_ARGUMENT),
    (Code.DEADLINE_EXCEEDED, False, Blame.CALLER, Code.DEADLINE_EXCEEDED),
    (Code.NOT_FOUND, True, Blame.ENDPOINT, Code.UNAVAILABLE),
    (Code.ALREADY_EXISTS, False, Blame.CALLER, Code.ALREADY_EXISTS),
    (Code.PERMISSION_DENIED, True, Blame.ENDPOINT, Code.UNAVAILABLE),
    (Code.RESOURCE_EXHAUSTED, True, Blame.CALLER, Code.UNAVAILABLE),
    (Code.FAILED_PRECONDITION, False, Blame.CALLER, Code.FAILED_PRECONDITION),
    (Code.ABORTED, True, Blame.CALLER, Code.ABORTED),
    (Code.OUT_OF_RANGE, False, Blame.CALLER, Code.OUT_OF_RANGE),
    (Code.UNIMPLEMENTED, True, Blame.ENDPOINT, Code.UNAVAILABLE),
    (Code.INTERNAL, True, Blame.SUSPECT, Code.INTERNAL),
    (Code.UNAVAILABLE, True, Blame.ENDPOINT, Code.UNAVAILABLE),
    (Code.DATA_LOSS, True, Blame.SUSPECT, Code.DATA_LOSS),
    (Code.UNAUTHENTICATED, True, Blame.ENDPOINT, Code.UNAVAILABLE),
]


# What is in no model's power to do better, and so no miss of any.
CALLERS_FAULT = {
    Code.INVALID_ARGUMENT,
    Code.ALREADY_EXISTS,
    Code.FAILED_PRECONDITION,
    Code.OUT_OF_RANGE,
}


def attempts(*models: int, deadline_s: float = 10) -> Attempts:
    return Attempts(models, deadline_s=deadline_s)


def test_every_status_but_ok_has_a_verdict() -> None:
    assert {row[0] for row in TABLE} == set(VERDICTS) == set(Code) - {Code.OK}


@pytest.mark.parametrize(("code", "retry", "blame", "caller_sees"), TABLE)
def test_a_failure_is_judged_by_its_status(
    code: Code, retry: bool, blame: Blame, caller_sees: Code
) -> None:
    tried = attempts(7, 8)
    assert tried.next(0) == 7
    assert tried.failed(code) == Verdict(retry, blame, caller_sees, code not in CALLERS_FAULT)
    assert tried.next(0) == (8 if retry else None)


@pytest.mark.parametrize("code", [Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.NOT_FOUND])
def test_no_caller_is_told_that_it_was_refused_where_the_endpoint_refused_us(code: Code) -> None:
    assert VERDICTS[code].caller_sees is Code.UNAVAILABLE


def test_models_are_asked_in_their_order_and_one_retry_is_all() -> None:
    tried = attempts(3, 1, 2)
    asked = []
    while (model := tried.next(0)) is not None:
        asked.append(model)
        tried.failed(Code.UNAVAILABLE)
    assert asked == [3, 1]
    assert tried.made == 2


def test_without_another_model_there_is_no_retry() -> None:
    tried = attempts(3)
    tried.next(0)
    tried.failed(Code.UNAVAILABLE)
    assert tried.next(0) is None
    assert tried.made == 1


def test_nothing_is_asked_that_could_not_answer_in_time() -> None:
    tried = attempts(3, 1, deadline_s=10)
    assert tried.next(10 - MARGIN_S) is None
    assert tried.made == 0
    assert tried.next(9.99) == 3


def test_there_is_no_retry_without_time_left() -> None:
    tried = attempts(3, 1, deadline_s=10)
    assert tried.next(0) == 3
    tried.failed(Code.UNAVAILABLE)
    assert tried.next(9.999) is None


def test_an_endpoint_may_take_the_time_that_is_left_less_the_way_back() -> None:
    assert attempts(3, deadline_s=10).time_left_s(4) == pytest.approx(6 - MARGIN_S)
