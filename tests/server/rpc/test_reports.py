"""Reports are cut into outcomes, each settled or refused by itself."""

from collections.abc import Sequence

import pytest

from server.routing.errors import ControlPlaneDown, PayloadMalformed
from server.routing.outcomes import FEEDBACK_MAX
from server.rpc.reports import OUTCOME_BYTES_MAX, STRETCH_BYTES, settled
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


async def reported(*outcomes: pb.Outcome) -> tuple[list[str], Settling]:
    settling = Settling()
    data = pb.ReportRequest(outcomes=outcomes).SerializeToString()
    response = await settled(data, settling, Turns())
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


async def test_what_is_no_outcome_is_refused_before_any_is_counted() -> None:
    settling = Settling()
    data = pb.ReportRequest(outcomes=[outcome("a")]).SerializeToString()
    with pytest.raises(PayloadMalformed):
        await settled(data + b"\x0a\x03\x0a\x01\xff", settling, Turns())
    assert settling.outcomes == []


async def test_a_report_of_all_that_it_may_have_is_read_in_stretches() -> None:
    turns, longest = Turns(), outcome("d", intent="x" * (OUTCOME_BYTES_MAX - 6))
    assert longest.ByteSize() == OUTCOME_BYTES_MAX
    data = pb.ReportRequest(outcomes=[longest] * OUTCOMES_MAX).SerializeToString()
    assert len((await settled(memoryview(data), Settling(), turns)).results) == OUTCOMES_MAX
    assert turns.given == OUTCOMES_MAX * OUTCOME_BYTES_MAX // STRETCH_BYTES


async def test_what_the_control_plane_says_is_passed_on() -> None:
    async def gone(outcomes: Sequence[pb.Outcome]) -> Sequence[pb.OutcomeResult]:
        raise ControlPlaneDown("gone")

    with pytest.raises(ControlPlaneDown):
        await settled(b"\x0a\x00", gone, Turns())
