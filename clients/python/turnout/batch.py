"""Many requests in one message, and a decision or an error for each out of another."""

from collections.abc import Iterable
from dataclasses import replace

from turnout import convert
from turnout.answers import Decision
from turnout.errors import TurnoutError
from turnout.filling import within
from turnout.request import BatchFields
from turnout.status import error_of_refusal
from turnout.v1 import routing_pb2 as pb


def batch_request(requests: Iterable[BatchFields]) -> pb.RouteBatchRequest:
    """Raises TypeError or ValueError, and names the request and the keyword."""
    batch = pb.RouteBatchRequest()
    for place, fields in enumerate(requests):
        with within(f"requests[{place}]"):
            batch.requests.append(convert.route_request(fields))
    return batch


def decisions(response: pb.RouteBatchResponse) -> list[Decision | TurnoutError]:
    """One for each request, in their order."""
    routes = [convert.route(route) for route in response.routes]
    return [_answer(result, routes) for result in response.results]


def _answer(result: pb.BatchResult, routes: list[Decision]) -> Decision | TurnoutError:
    if result.HasField("refusal"):
        return error_of_refusal(result.refusal)
    return replace(
        routes[result.route],
        decision_id=result.decision_id,
        report_wanted=result.report_wanted,
        request_id=result.request_id,
    )
