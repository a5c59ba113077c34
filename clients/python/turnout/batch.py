"""Many requests in one message, and a decision or an error for each out of another."""

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

from turnout import convert
from turnout.answers import Decision
from turnout.errors import TurnoutError
from turnout.request import BatchFields, RequestFields
from turnout.status import error_of_refusal
from turnout.v1 import routing_pb2 as pb

_CONTENT = ("text", "oip_request", "openai_chat")


def batch_request(requests: Iterable[BatchFields]) -> pb.RouteBatchRequest:
    batch = pb.RouteBatchRequest()
    for number, fields in enumerate(requests):
        try:
            batch.requests.append(_request(fields))
        except (TypeError, ValueError) as error:
            raise type(error)(f"requests[{number}]: {error}") from None
    return batch


def decisions(response: pb.RouteBatchResponse) -> list[Decision | TurnoutError]:
    """One for each request, in their order."""
    routes = [convert.route(route) for route in response.routes]
    return [_answer(result, routes) for result in response.results]


def _request(fields: BatchFields) -> pb.RouteRequest:
    others = {name: value for name, value in fields.items() if name not in _CONTENT}
    return convert.route_request(
        text=fields.get("text"),
        oip_request=fields.get("oip_request"),
        openai_chat=fields.get("openai_chat"),
        dry_run=False,
        fields=cast("RequestFields", others),
    )


def _answer(result: pb.BatchResult, routes: list[Decision]) -> Decision | TurnoutError:
    if result.HasField("refusal"):
        return error_of_refusal(result.refusal)
    return replace(
        routes[result.route],
        decision_id=result.decision_id,
        report_wanted=result.report_wanted,
        request_id=result.request_id,
    )
