"""The calls of both clients but for the sending: what goes out, and what its answer means."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from turnout import batch, chats, convert, reporting
from turnout.answers import Answer, ChatAnswer, Decision, OutcomeResult
from turnout.errors import TurnoutError
from turnout.request import (
    BatchFields,
    Outcome,
    OutcomeFields,
    RequestFields,
    SerializesToString,
)
from turnout.retry import Call
from turnout.status import refusal_of
from turnout.v1 import routing_pb2 as pb

_Meaning = TypeVar("_Meaning")


@dataclass(frozen=True, slots=True)
class Exchange(Generic[_Meaning]):
    """One call: its method, its request, and how the response is read."""

    method: str  # of turnout.v1.RoutingService
    request: Message
    read: Callable[[Any, Call], _Meaning]  # what it returns is the caller's; it may raise an error


def route(fields: BatchFields, *, dry_run: bool) -> Exchange[Decision]:
    request = convert.route_request(fields, dry_run=dry_run)
    return Exchange("Route", request, lambda response, _: convert.decision(response))


def route_batch(requests: Iterable[BatchFields]) -> Exchange[list[Decision | TurnoutError]]:
    request = batch.batch_request(requests)
    return Exchange("RouteBatch", request, lambda response, _: batch.decisions(response))


def infer(oip_request: bytes | SerializesToString, fields: RequestFields) -> Exchange[Answer]:
    request = convert.infer_request(oip_request, fields=fields)
    return Exchange("Infer", request, lambda response, _: convert.answer(response))


def chat(said: chats.Chat, fields: RequestFields) -> Exchange[ChatAnswer]:
    request = chats.chat_request(said, fields)
    return Exchange("Infer", request, lambda response, _: chats.answer(response))


def report(decision_id: str, fields: OutcomeFields) -> Exchange[None]:
    outcome = Outcome(decision_id=decision_id, **fields)
    return Exchange("Report", reporting.report_request([outcome]), _hold_counted)


def report_many(outcomes: Iterable[Outcome]) -> Exchange[tuple[OutcomeResult, ...]]:
    return Exchange("Report", reporting.report_request(outcomes), _results)


def _results(response: pb.ReportResponse, call: Call) -> tuple[OutcomeResult, ...]:
    return reporting.results(response, may_have_arrived=call.may_have_arrived)


def _hold_counted(response: pb.ReportResponse, call: Call) -> None:
    """Raises for an outcome that was refused."""
    for result in _results(response, call):
        if not result.counted:
            raise refusal_of(result)
