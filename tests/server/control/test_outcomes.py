import pytest

from server.control.outcomes import USAGE_ALREADY_COUNTED, CountedGrade, Grade, Outcomes
from server.routing.decision_id import Kind, Sealer
from server.routing.errors import DecisionExpired, DecisionInvalid, InvalidRequest, QualityInvalid
from server.routing.reported import Reported, Told, Took
from tests.server.control.told import KEY, NOW_S, decision_id, quality, usage
from turnout.v1.routing_pb2 import Attempt, Feedback, Outcome

MODELS = {"small", "large", "huge"}
REPORTED = Reported([Told("small", "", None)], Took(0.02, 100, 50))


def outcomes(remembered_max: int = 1_000, attempts_max: int = 1_000) -> Outcomes:
    return Outcomes(
        KEY, MODELS.__contains__, remembered_max=remembered_max, attempts_max=attempts_max
    )


def test_usage_counts_once() -> None:
    table, outcome = outcomes(), Outcome(decision_id=decision_id(), usage=usage())
    first = table.settle(outcome, now_s=NOW_S)
    second = table.settle(outcome, now_s=NOW_S + 1)
    assert (first.result.reason, first.reported) == ("", REPORTED)
    assert (second.result.reason, second.reported) == ("USAGE_DUPLICATE", None)


def test_the_usage_of_an_infer_is_refused_but_its_feedback_is_taken() -> None:
    outcome = Outcome(decision_id=decision_id(Kind.INFER), usage=usage(), feedback=[quality(1.0)])
    settled = outcomes().settle(outcome, now_s=NOW_S)
    assert settled.result.reason == USAGE_ALREADY_COUNTED
    assert settled.reported is None
    assert settled.grade == Grade(1.0, "small")


def test_a_later_grade_replaces_the_earlier_one() -> None:
    table, sealed = outcomes(), decision_id()
    table.settle(Outcome(decision_id=sealed, feedback=[quality(1.0)]), now_s=NOW_S)
    settled = table.settle(Outcome(decision_id=sealed, feedback=[quality(0.0)]), now_s=NOW_S + 9)
    assert settled.grade == Grade(0.0, "small", replaces=CountedGrade(1.0, "small", NOW_S))


def test_a_grade_judged_earlier_comes_too_late_to_replace() -> None:
    table, sealed = outcomes(), decision_id()
    newest = quality(1.0, time_s=NOW_S - 10)
    table.settle(Outcome(decision_id=sealed, feedback=[newest]), now_s=NOW_S)
    older = quality(0.0, time_s=NOW_S - 20)
    assert table.settle(Outcome(decision_id=sealed, feedback=[older]), now_s=NOW_S).grade is None


def test_a_grade_from_the_future_does_not_shut_out_later_ones() -> None:
    table, sealed = outcomes(), decision_id()
    ahead = quality(1.0, time_s=NOW_S + 86_400)
    table.settle(Outcome(decision_id=sealed, feedback=[ahead]), now_s=NOW_S)
    settled = table.settle(Outcome(decision_id=sealed, feedback=[quality(0.0)]), now_s=NOW_S + 1)
    assert settled.grade == Grade(0.0, "small", replaces=CountedGrade(1.0, "small", NOW_S))


def test_the_same_grade_again_changes_nothing() -> None:
    table, outcome = outcomes(), Outcome(decision_id=decision_id(), feedback=[quality(1.0)])
    table.settle(outcome, now_s=NOW_S)
    assert table.settle(outcome, now_s=NOW_S + 1).grade is None


def test_another_metric_is_no_grade() -> None:
    feedback = [Feedback(metric="thumbs", value=1.0)]
    settled = outcomes().settle(Outcome(decision_id=decision_id(), feedback=feedback), now_s=NOW_S)
    assert settled.result.reason == ""
    assert settled.grade is None


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_quality_outside_0_to_1_is_refused_and_counts_no_usage(value: float) -> None:
    table, sealed = outcomes(), decision_id()
    with pytest.raises(QualityInvalid):
        table.settle(
            Outcome(decision_id=sealed, usage=usage(), feedback=[quality(value)]), now_s=NOW_S
        )
    assert (
        table.settle(Outcome(decision_id=sealed, usage=usage()), now_s=NOW_S).reported == REPORTED
    )


def test_a_negative_latency_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        outcomes().settle(Outcome(decision_id=decision_id(), usage=usage(-1)), now_s=NOW_S)


def test_an_id_sealed_with_another_key_is_refused() -> None:
    forged = decision_id(sealer=Sealer(b"x" * 32, 1))
    with pytest.raises(DecisionInvalid):
        outcomes().settle(Outcome(decision_id=forged), now_s=NOW_S)


def test_a_full_table_forgets_the_oldest_decision_and_refuses_what_comes_for_it() -> None:
    table, sealer = outcomes(remembered_max=2), Sealer(KEY, 1)
    sealed_ids = [decision_id(sealer=sealer, now_s=NOW_S + n) for n in (2, 0, 1)]
    for sealed in sealed_ids:
        table.settle(Outcome(decision_id=sealed, usage=usage()), now_s=NOW_S + 9)
    with pytest.raises(DecisionExpired):
        table.settle(Outcome(decision_id=sealed_ids[1], usage=usage()), now_s=NOW_S + 9)
    for kept in (sealed_ids[0], sealed_ids[2]):
        again = table.settle(Outcome(decision_id=kept, usage=usage()), now_s=NOW_S + 9)
        assert again.result.reason == "USAGE_DUPLICATE"


def test_a_decision_as_old_as_a_forgotten_one_is_refused_even_if_new_to_the_table() -> None:
    table, sealer = outcomes(remembered_max=1), Sealer(KEY, 1)
    first, never_told, last = (decision_id(sealer=sealer, now_s=NOW_S + n) for n in (0, 0, 1))
    for sealed in (first, last):
        table.settle(Outcome(decision_id=sealed), now_s=NOW_S + 9)
    with pytest.raises(DecisionExpired):
        table.settle(Outcome(decision_id=never_told), now_s=NOW_S + 9)


FALLBACK = [Attempt(model="small"), Attempt(model="large")]


def test_what_is_told_of_attempts_counts_with_the_usage_and_once() -> None:
    table, sealed = outcomes(), decision_id()
    outcome = Outcome(decision_id=sealed, usage=usage(), attempts=FALLBACK)
    reported = table.settle(outcome, now_s=NOW_S).reported
    assert reported is not None
    assert [told.model for told in reported.asked] == ["small", "large"]
    assert reported.answered_by == "large"
    assert table.settle(outcome, now_s=NOW_S).result.reason == "USAGE_DUPLICATE"


def test_a_later_grade_is_that_of_the_model_that_was_told_to_have_answered() -> None:
    table, sealed = outcomes(), decision_id()
    table.settle(Outcome(decision_id=sealed, usage=usage(), attempts=FALLBACK), now_s=NOW_S)
    settled = table.settle(Outcome(decision_id=sealed, feedback=[quality(1.0)]), now_s=NOW_S)
    assert settled.grade == Grade(1.0, "large")


def test_a_grade_may_say_whose_answer_it_is_without_usage() -> None:
    table, sealed = outcomes(), decision_id()
    graded = Outcome(decision_id=sealed, attempts=FALLBACK, feedback=[quality(1.0)])
    settled = table.settle(graded, now_s=NOW_S)
    assert (settled.reported, settled.grade) == (None, Grade(1.0, "large"))
    usage_later = table.settle(Outcome(decision_id=sealed, usage=usage()), now_s=NOW_S)
    assert usage_later.result.reason == ""


def test_usage_that_comes_after_who_answered_is_of_that_model() -> None:
    table, sealed = outcomes(), decision_id()
    table.settle(Outcome(decision_id=sealed, attempts=FALLBACK), now_s=NOW_S)
    settlement = table.settle(
        Outcome(decision_id=sealed, usage=usage(), feedback=[quality(1.0)]), now_s=NOW_S
    )
    assert settlement.reported is not None
    assert settlement.reported.answered_by == "large"
    assert [told.model for told in settlement.reported.asked] == ["small", "large"]
    assert settlement.grade == Grade(1.0, "large")


FAILED_FIRST = [
    Attempt(model="small", usage=usage(500, failed=True)),
    Attempt(model="large"),
]


def test_what_earlier_attempts_took_is_remembered_until_usage_comes() -> None:
    table, sealed = outcomes(), decision_id()
    table.settle(Outcome(decision_id=sealed, attempts=FAILED_FIRST), now_s=NOW_S)
    reported = table.settle(Outcome(decision_id=sealed, usage=usage()), now_s=NOW_S).reported
    together = Outcome(decision_id=decision_id(), attempts=FAILED_FIRST, usage=usage())
    assert reported == outcomes().settle(together, now_s=NOW_S).reported


def test_attempts_are_remembered_of_the_newest_decisions_alone() -> None:
    table = outcomes(attempts_max=1)
    first, second = decision_id(), decision_id(audit_probability=1.0)
    for sealed in (first, second):
        table.settle(Outcome(decision_id=sealed, attempts=FAILED_FIRST), now_s=NOW_S)
    took = []
    for sealed in (first, second):
        reported = table.settle(Outcome(decision_id=sealed, usage=usage()), now_s=NOW_S).reported
        assert reported is not None
        took.append(reported.asked[0].took)
    assert took == [None, Took(0.5, 100, 50, failed=True)]


def test_a_grade_moves_to_the_model_that_is_told_later_to_have_answered() -> None:
    table, sealed = outcomes(), decision_id()
    table.settle(Outcome(decision_id=sealed, feedback=[quality(1.0)]), now_s=NOW_S)
    outcome = Outcome(decision_id=sealed, usage=usage(), attempts=FALLBACK)
    settled = table.settle(outcome, now_s=NOW_S + 9)
    assert settled.grade == Grade(1.0, "large", replaces=CountedGrade(1.0, "small", NOW_S))


def test_what_was_counted_of_a_request_is_not_told_otherwise_later() -> None:
    table, sealed = outcomes(), decision_id()
    table.settle(Outcome(decision_id=sealed, usage=usage(), attempts=FALLBACK), now_s=NOW_S)
    other = [Attempt(model="small"), Attempt(model="huge")]
    later = Outcome(decision_id=sealed, attempts=other, feedback=[quality(1.0)])
    assert table.settle(later, now_s=NOW_S).grade == Grade(1.0, "large")


def test_where_nobody_answered_a_grade_is_that_of_the_decisions_model() -> None:
    failed = Outcome(
        decision_id=decision_id(),
        usage=usage(failed=True),
        attempts=FALLBACK,
        feedback=[quality(0.0)],
    )
    assert outcomes().settle(failed, now_s=NOW_S).grade == Grade(0.0, "small")


def test_an_infer_has_told_itself_who_answered() -> None:
    outcome = Outcome(
        decision_id=decision_id(Kind.INFER), attempts=FALLBACK, feedback=[quality(1.0)]
    )
    settled = outcomes().settle(outcome, now_s=NOW_S)
    assert settled.result.reason == USAGE_ALREADY_COUNTED
    assert settled.grade == Grade(1.0, "small")


@pytest.mark.parametrize(
    ("attempts", "field"),
    [
        ([Attempt(model="other")], "attempts[0].model"),
        ([Attempt(model="small")] * 9, "attempts"),
        ([Attempt(model="small", usage=usage(-1))], "attempts[0].usage.latency"),
        ([Attempt(model="small", usage=usage(failed=True))], "usage.failed"),
    ],
)
def test_attempts_that_cannot_have_been_are_refused_and_count_nothing(
    attempts: list[Attempt], field: str
) -> None:
    table, sealed = outcomes(), decision_id()
    with pytest.raises(InvalidRequest) as refused:
        table.settle(Outcome(decision_id=sealed, usage=usage(), attempts=attempts), now_s=NOW_S)
    assert refused.value.field == field
    assert (
        table.settle(Outcome(decision_id=sealed, usage=usage()), now_s=NOW_S).reported == REPORTED
    )
