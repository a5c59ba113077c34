"""Report over a real connection: outcomes are settled one by one."""

import pytest
from grpc import StatusCode

from server.routing.errors import ControlPlaneDown
from server.rpc.shapes import OUTCOMES_MAX
from tests.server.rpc.requests import route_request
from tests.server.rpc.service import (
    Service,
    refused,
)
from turnout.v1 import routing_pb2 as pb


async def test_outcomes_are_settled_and_answered_one_by_one(service: Service) -> None:
    outcomes = [pb.Outcome(decision_id=f"d{i}") for i in range(3)]
    response = await service.routing.Report(pb.ReportRequest(outcomes=outcomes))
    assert [result.reason for result in response.results] == ["R0", "R1", "R2"]
    assert service.ledger.told == outcomes


@pytest.mark.parametrize(("counts", "model"), [(True, "large"), (False, "small")])
async def test_a_fallback_that_is_reported_and_counted_takes_the_endpoint_out_that_failed(
    service: Service, counts: bool, model: str
) -> None:
    service.ledger.counts = counts
    routed = await service.routing.Route(route_request())
    assert routed.target.model == "small"
    attempts = [
        pb.Attempt(model="small", endpoint=routed.target.endpoint),
        pb.Attempt(model="large"),
    ]
    outcome = pb.Outcome(decision_id=routed.decision_id, usage=pb.Usage(), attempts=attempts)
    await service.routing.Report(pb.ReportRequest(outcomes=[outcome]))
    assert (await service.routing.Route(route_request())).target.model == model


async def test_without_a_control_plane_a_report_is_to_be_sent_again(service: Service) -> None:
    service.ledger.failure = ControlPlaneDown("try again")
    found = await refused(service, service.routing.Report(pb.ReportRequest()))
    assert (found.code, found.reason) == (StatusCode.UNAVAILABLE, "CONTROL_PLANE_DOWN")
    assert found.retry_s == 1.0


async def test_more_outcomes_than_one_report_may_hold_are_refused(service: Service) -> None:
    full = pb.ReportRequest(outcomes=[pb.Outcome()] * OUTCOMES_MAX)
    assert len((await service.routing.Report(full)).results) == OUTCOMES_MAX
    full.outcomes.add()
    found = await refused(service, service.routing.Report(full))
    assert (found.code, found.reason) == (StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")
    assert found.fields == ["outcomes"]
    assert len(service.ledger.told) == OUTCOMES_MAX
