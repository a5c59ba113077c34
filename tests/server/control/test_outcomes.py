import pytest

from server.control.outcomes import USAGE_ALREADY_COUNTED, Grade, Outcomes
from server.routing.errors import DecisionExpired, DecisionInvalid, InvalidRequest, QualityInvalid
from server.routing.tokens import Kind, Sealer
from tests.server.control.told import KEY, NOW_S, decision_id, quality, usage
from turnout.v1.routing_pb2 import Feedback, Outcome


def outcomes(remembered_max: int = 1_000) -> Outcomes:
    return Outcomes(KEY, remembered_max=remembered_max)


def test_usage_counts_once() -> None:
    table, outcome = outcomes(), Outcome(decision_id=decision_id(), usage=usage())
    first = table.settle(outcome, now_s=NOW_S)
    second = table.settle(outcome, now_s=NOW_S + 1)
    assert (first.result.reason, first.usage) == ("", usage())
    assert (second.result.reason, second.usage) == ("USAGE_DUPLICATE", None)


def test_the_usage_of_an_infer_is_refused_but_its_feedback_is_taken() -> None:
    outcome = Outcome(decision_id=decision_id(Kind.INFER), usage=usage(), feedback=[quality(1.0)])
    settled = outcomes().settle(outcome, now_s=NOW_S)
    assert settled.result.reason == USAGE_ALREADY_COUNTED
    assert settled.usage is None
    assert settled.grade == Grade(1.0)


def test_a_later_grade_replaces_the_earlier_one() -> None:
    table, token = outcomes(), decision_id()
    table.settle(Outcome(decision_id=token, feedback=[quality(1.0)]), now_s=NOW_S)
    settled = table.settle(Outcome(decision_id=token, feedback=[quality(0.0)]), now_s=NOW_S + 9)
    assert settled.grade == Grade(0.0, replaces=(1.0, NOW_S))


def test_a_grade_judged_earlier_comes_too_late_to_replace() -> None:
    table, token = outcomes(), decision_id()
    newest = quality(1.0, time_s=NOW_S - 10)
    table.settle(Outcome(decision_id=token, feedback=[newest]), now_s=NOW_S)
    older = quality(0.0, time_s=NOW_S - 20)
    assert table.settle(Outcome(decision_id=token, feedback=[older]), now_s=NOW_S).grade is None


def test_a_grade_from_the_future_does_not_shut_out_later_ones() -> None:
    table, token = outcomes(), decision_id()
    ahead = quality(1.0, time_s=NOW_S + 86_400)
    table.settle(Outcome(decision_id=token, feedback=[ahead]), now_s=NOW_S)
    settled = table.settle(Outcome(decision_id=token, feedback=[quality(0.0)]), now_s=NOW_S + 1)
    assert settled.grade == Grade(0.0, replaces=(1.0, NOW_S))


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
    table, token = outcomes(), decision_id()
    with pytest.raises(QualityInvalid):
        table.settle(
            Outcome(decision_id=token, usage=usage(), feedback=[quality(value)]), now_s=NOW_S
        )
    assert table.settle(Outcome(decision_id=token, usage=usage()), now_s=NOW_S).usage == usage()


def test_a_negative_latency_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        outcomes().settle(Outcome(decision_id=decision_id(), usage=usage(-1)), now_s=NOW_S)


def test_an_id_sealed_with_another_key_is_refused() -> None:
    forged = decision_id(sealer=Sealer(b"x" * 32, 1))
    with pytest.raises(DecisionInvalid):
        outcomes().settle(Outcome(decision_id=forged), now_s=NOW_S)


def test_a_full_table_forgets_the_oldest_decision_and_refuses_what_comes_for_it() -> None:
    table, sealer = outcomes(remembered_max=2), Sealer(KEY, 1)
    tokens = [decision_id(sealer=sealer, now_s=NOW_S + n) for n in (2, 0, 1)]
    for token in tokens:
        table.settle(Outcome(decision_id=token, usage=usage()), now_s=NOW_S + 9)
    with pytest.raises(DecisionExpired):
        table.settle(Outcome(decision_id=tokens[1], usage=usage()), now_s=NOW_S + 9)
    for kept in (tokens[0], tokens[2]):
        again = table.settle(Outcome(decision_id=kept, usage=usage()), now_s=NOW_S + 9)
        assert again.result.reason == "USAGE_DUPLICATE"


def test_a_decision_as_old_as_a_forgotten_one_is_refused_even_if_new_to_the_table() -> None:
    table, sealer = outcomes(remembered_max=1), Sealer(KEY, 1)
    first, never_told, last = (decision_id(sealer=sealer, now_s=NOW_S + n) for n in (0, 0, 1))
    for token in (first, last):
        table.settle(Outcome(decision_id=token), now_s=NOW_S + 9)
    with pytest.raises(DecisionExpired):
        table.settle(Outcome(decision_id=never_told), now_s=NOW_S + 9)
