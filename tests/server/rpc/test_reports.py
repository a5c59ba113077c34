"""Reports are cut into outcomes, each settled or refused by itself."""

from collections.abc import Sequence

import pytest

from server.routing.errors import ControlPlaneDown, DecisionExpired, PayloadMalformed
from server.routing.outcomes import ATTEMPTS_MAX, FEEDBACK_MAX
from server.routing.reported import Reported
from server.rpc.reports import (
    ADMITTED_BYTES,
    OBSERVED_AT_ONCE,
    OUTCOME_BYTES_MAX,
    STRETCH_BYTES,
    Listener,
    settle_outcomes,
)
from server.rpc.shapes import OUTCOMES_MAX
from tests.server.rpc.test_parts import Turns
from turnout.v1 import routing_pb2 as pb


class Settling:
    """Stands for the control plane."""

    def __init__(self) -> None:
        self.outcomes: list[pb.Outcome] = []

    async def __call__(self, outcomes: Sequence[pb.Outcome]) -> Sequence[pb.OutcomeResult]:
        self.outcomes += outcomes
        return [pb.OutcomeResult(reason=outcome.decision_id) for outcome in outcomes]


def ignored(_decision_id: str, _reported: Reported) -> None:
    """What these tests do not ask."""


async def reported(*outcomes: pb.Outcome) -> tuple[list[str], Settling]:
    settling = Settling()
    data = pb.ReportRequest(outcomes=outcomes).SerializeToString()
    response = await settle_outcomes(data, settling, Listener(ignored), Turns())
    return [result.reason for result in response.results], settling


def outcome(name: str, feedback: int = 0, intent: str = "") -> pb.Outcome:
    return pb.Outcome(decision_id=name, feedback=[pb.Feedback()] * feedback, intent=intent)


async def test_an_outcome_that_would_cost_too_much_is_refused_in_its_place() -> None:
    most = outcome("most", FEEDBACK_MAX)
    longest = outcome("longest", intent="x" * (OUTCOME_BYTES_MAX - 12))
    assert longest.ByteSize() == OUTCOME_BYTES_MAX
    longer = outcome("longest", intent="x" * (OUTCOME_BYTES_MAX - 11))
    reasons, settling = await reported(
        outcome("many", FEEDBACK_MAX + 1), most, longer, longer, longest, outcome("many", 9)
    )
    refused = "REQUEST_INVALID"
    assert reasons == [refused, "most", refused, refused, "longest", refused]
    assert settling.outcomes == [most, longest]


async def test_health_is_told_of_requests_whose_usage_was_counted_and_of_no_others() -> None:
    usage, attempts = pb.Usage(input_tokens=1), [pb.Attempt(model="a"), pb.Attempt(model="b")]
    counted = pb.Outcome(usage=usage, attempts=attempts)
    outcomes = [
        counted,
        pb.Outcome(decision_id="REFUSED", usage=usage, attempts=attempts),
        pb.Outcome(attempts=attempts),
        pb.Outcome(usage=usage),
    ]
    observed: list[list[str]] = []

    def observe(_decision_id: str, reported: Reported) -> None:
        observed.append([told.model for told in reported.asked])

    data = pb.ReportRequest(outcomes=outcomes).SerializeToString()
    await settle_outcomes(data, Settling(), Listener(observe), Turns())
    assert observed == [["a", "b"], []]


async def test_what_counted_is_answered_so_whatever_this_worker_makes_of_its_id() -> None:
    def observe(_decision_id: str, _reported: Reported) -> None:
        raise DecisionExpired("an hour ahead of the control plane")

    data = pb.ReportRequest(outcomes=[pb.Outcome(usage=pb.Usage())]).SerializeToString()
    response = await settle_outcomes(data, Settling(), Listener(observe), Turns())
    assert [result.reason for result in response.results] == [""]


async def test_health_is_told_of_many_attempts_in_stretches() -> None:
    turns = Turns()
    one = pb.Outcome(usage=pb.Usage(), attempts=[pb.Attempt(model="a")])
    data = pb.ReportRequest(outcomes=[one] * OUTCOMES_MAX).SerializeToString()
    await settle_outcomes(data, Settling(), Listener(ignored), turns)
    assert turns.given == OUTCOMES_MAX // OBSERVED_AT_ONCE


async def test_too_many_attempts_are_refused_by_their_field() -> None:
    many = pb.Outcome(attempts=[pb.Attempt()] * (ATTEMPTS_MAX + 1))
    data = pb.ReportRequest(outcomes=[many]).SerializeToString()
    (result,) = (await settle_outcomes(data, Settling(), Listener(ignored), Turns())).results
    assert result.reason == "REQUEST_INVALID"
    assert result.message.startswith("attempts: 9 attempts of one request")


async def test_what_is_no_outcome_is_refused_before_any_is_counted() -> None:
    settling = Settling()
    data = pb.ReportRequest(outcomes=[outcome("a")]).SerializeToString()
    with pytest.raises(PayloadMalformed):
        await settle_outcomes(data + b"\x0a\x03\x0a\x01\xff", settling, Listener(ignored), Turns())
    assert settling.outcomes == []


async def test_a_report_of_all_that_it_may_have_is_read_in_stretches() -> None:
    turns, longest = Turns(), outcome("d", intent="x" * (OUTCOME_BYTES_MAX - 6))
    assert longest.ByteSize() == OUTCOME_BYTES_MAX
    data = pb.ReportRequest(outcomes=[longest] * OUTCOMES_MAX).SerializeToString()
    assert (
        len((await settle_outcomes(memoryview(data), Settling(), Listener(ignored), turns)).results)
        == OUTCOMES_MAX
    )
    assert turns.given == OUTCOMES_MAX * OUTCOME_BYTES_MAX // STRETCH_BYTES


async def test_what_the_control_plane_says_is_passed_on() -> None:
    async def gone(outcomes: Sequence[pb.Outcome]) -> Sequence[pb.OutcomeResult]:
        raise ControlPlaneDown("gone")

    with pytest.raises(ControlPlaneDown):
        await settle_outcomes(b"\x0a\x00", gone, Listener(ignored), Turns())


async def test_an_outcome_with_a_text_that_is_not_utf8_is_named_by_its_place() -> None:
    data = pb.ReportRequest(outcomes=[outcome("one"), outcome("two", intent="legal")])
    broken = data.SerializeToString().replace(b"legal", b"l\xed\xa0\x80l")
    settling = Settling()
    with pytest.raises(PayloadMalformed, match="not UTF-8") as raised:
        await settle_outcomes(broken, settling, Listener(ignored), Turns())
    assert raised.value.field == "outcomes[1].intent"
    assert settling.outcomes == []


async def test_who_may_report_is_looked_up_in_stretches() -> None:
    turns, admitted = Turns(), list[str]()
    data = pb.ReportRequest(outcomes=[outcome("")] * OUTCOMES_MAX).SerializeToString()
    listener = Listener(ignored, admit=admitted.append)
    await settle_outcomes(data, Settling(), listener, turns)
    assert len(admitted) == OUTCOMES_MAX
    assert turns.given == OUTCOMES_MAX * ADMITTED_BYTES // STRETCH_BYTES


async def test_what_counted_of_outcomes_is_told_whoever_takes_it_down() -> None:
    told: list[str] = []
    names = ("", "USAGE_DUPLICATE", "USAGE_ALREADY_COUNTED", "DECISION_EXPIRED")
    data = pb.ReportRequest(outcomes=map(outcome, names)).SerializeToString()
    listener = Listener(ignored, on_reported=lambda one: told.append(one.decision_id))
    await settle_outcomes(data, Settling(), listener, Turns())
    assert told == ["", "USAGE_DUPLICATE", "USAGE_ALREADY_COUNTED"]
