"""From a caller's words to messages of the contract, and from its answers to plain values."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from turnout.answers import Answer, Cell, Decision, OutcomeResult, Reason, Target, Usage
from turnout.request import (
    Attempt,
    ContextFields,
    FeatureFields,
    Outcome,
    RequestFields,
    SerializesToString,
)
from turnout.v1 import routing_pb2 as pb

_NANO = 1_000_000_000
_PAYLOAD_KINDS = {"text": pb.PAYLOAD_KIND_TEXT, "tensors": pb.PAYLOAD_KIND_TENSORS}
_BASES = {pb.BASIS_PLAN: "plan", pb.BASIS_CLASS: "class", pb.BASIS_GREEDY: "greedy"}

_Message = TypeVar("_Message", bound=Message)


def route_request(
    *,
    text: str | None,
    oip_request: bytes | SerializesToString | None,
    openai_chat: bytes | Mapping[str, object] | None = None,
    dry_run: bool,
    fields: RequestFields,
) -> pb.RouteRequest:
    if [text, oip_request, openai_chat].count(None) < 2:  # noqa: PLR2004 - one may be given
        raise ValueError("give one of text, oip_request and openai_chat, not several")
    request = pb.RouteRequest(context=_context(fields), features=_features(fields), dry_run=dry_run)
    if text is not None:
        request.text = text
    if oip_request is not None:
        request.oip_request = _serialised(oip_request)
    if openai_chat is not None:
        request.openai_chat = _body(openai_chat)
    return request


def infer_request(
    oip_request: bytes | SerializesToString, *, fields: RequestFields
) -> pb.InferRequest:
    return pb.InferRequest(
        context=_context(fields),
        features=_features(fields),
        oip_request=_serialised(oip_request),
    )


def report_request(outcomes: Iterable[Outcome]) -> pb.ReportRequest:
    return pb.ReportRequest(outcomes=[_outcome(outcome) for outcome in outcomes])


def decision(response: pb.RouteResponse) -> Decision:
    return replace(
        route(response),
        decision_id=response.decision_id,
        report_wanted=response.report_wanted,
        request_id=response.request_id,
    )


def route(message: pb.RouteResponse | pb.BatchRoute) -> Decision:
    """A decision without what is its own even in a batch: its ids, and whether it is audited."""
    return Decision(
        decision_id="",
        plan_id=message.plan_id,
        cell=_cell(message.cell),
        target=_target(message.target),
        fallbacks=tuple(_target(target) for target in message.fallbacks),
        reason=_reason(message.reason),
        expected_cost_nano_usd=message.expected_cost_nano_usd,
        reuse_for_s=seconds(message.reuse_for),
        report_wanted=False,
        request_id="",
    )


def answer(response: pb.InferResponse) -> Answer:
    return Answer(
        decision_id=response.decision_id,
        plan_id=response.plan_id,
        cell=_cell(response.cell),
        target=_target(response.target),
        reason=_reason(response.reason),
        report_wanted=response.report_wanted,
        request_id=response.request_id,
        oip_response=response.oip_response,
        usage=Usage(
            input_tokens=response.usage.input_tokens,
            output_tokens=response.usage.output_tokens,
            latency_s=seconds(response.usage.latency),
        ),
        cost_nano_usd=response.cost_nano_usd,
        attempts=response.attempts,
    )


def results(response: pb.ReportResponse, *, may_have_arrived: bool) -> tuple[OutcomeResult, ...]:
    """One for each outcome, in their order.

    Where an earlier attempt of the same call may have arrived, a duplicate is what having counted
    the usage then looks like.
    """
    return tuple(
        OutcomeResult(reason="", message="")
        if may_have_arrived and result.reason == "USAGE_DUPLICATE"
        else OutcomeResult(reason=result.reason, message=result.message)
        for result in response.results
    )


def seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / _NANO


def _serialised(message: bytes | SerializesToString) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


def _body(chat: bytes | Mapping[str, object]) -> bytes:
    return chat if isinstance(chat, bytes) else json.dumps(chat).encode()


def _context(fields: RequestFields) -> pb.RequestContext:
    unknown = fields.keys() - RequestFields.__annotations__.keys()
    if unknown:
        raise TypeError(f"no such keyword: {', '.join(sorted(unknown))}")
    return _filled(pb.RequestContext, _part(fields, ContextFields.__annotations__))


def _features(fields: RequestFields) -> pb.Features:
    stated = _part(fields, FeatureFields.__annotations__)
    if "payload_kind" in fields:
        stated["payload_kind"] = _payload_kind(fields["payload_kind"])
    return _filled(pb.Features, stated)


def _part(fields: RequestFields, names: Iterable[str]) -> dict[str, object]:
    return {name: fields.get(name) for name in names if name in fields}


def _payload_kind(name: str) -> pb.PayloadKind.ValueType:
    if name not in _PAYLOAD_KINDS:
        raise ValueError(f'payload_kind: "text" or "tensors", not {name!r}')
    return _PAYLOAD_KINDS[name]


def _outcome(outcome: Outcome) -> pb.Outcome:
    return pb.Outcome(
        decision_id=outcome.decision_id,
        usage=_usage(outcome),
        feedback=_feedback(outcome),
        domain=outcome.domain,
        intent=outcome.intent,
        attempts=[_attempt(attempt) for attempt in outcome.attempts],
    )


def _usage(outcome: Outcome) -> pb.Usage | None:
    """Absent unless something of it is stated: usage counts once, even if it says nothing."""
    stated: dict[str, object] = {
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "latency": None if outcome.latency_s is None else _duration(outcome.latency_s),
        "failed": outcome.failed,
    }
    if outcome.attempts:
        stated = _sums(outcome.attempts) | {k: v for k, v in stated.items() if v is not None}
    if all(value is None for value in stated.values()):
        return None
    return _filled(pb.Usage, stated)


def _sums(attempts: Sequence[Attempt]) -> dict[str, object]:
    """What a request took by what is stated of its attempts."""
    answers = [attempt for attempt in attempts if not attempt.failed]
    return {
        "input_tokens": sum(attempt.input_tokens or 0 for attempt in answers),
        "output_tokens": sum(attempt.output_tokens or 0 for attempt in answers),
        "latency": _duration(sum(attempt.latency_s or 0.0 for attempt in attempts)),
        "failed": attempts[-1].failed,
    }


def _attempt(attempt: Attempt) -> pb.Attempt:
    """Of one that answered, what is not stated is what the others leave of the request's usage."""
    stated = {
        "input_tokens": attempt.input_tokens,
        "output_tokens": attempt.output_tokens,
        "latency": None if attempt.latency_s is None else _duration(attempt.latency_s),
        "failed": attempt.failed or None,
    }
    message = _filled(pb.Attempt, {"model": attempt.model, "endpoint": attempt.endpoint})
    if any(value is not None for value in stated.values()):
        message.usage.CopyFrom(_filled(pb.Usage, stated))
    return message


def _feedback(outcome: Outcome) -> list[pb.Feedback]:
    grades = dict(outcome.metrics)
    if outcome.quality is not None:
        grades["quality"] = outcome.quality
    time = _judged(outcome)
    return [
        _filled(pb.Feedback, {"metric": metric, "value": value, "time": time})
        for metric, value in grades.items()
    ]


def _judged(outcome: Outcome) -> Timestamp | None:
    if outcome.judged_at is None:
        return None
    if outcome.judged_at.utcoffset() is None:
        raise ValueError("judged_at: a time needs its timezone, such as datetime.UTC")
    time = Timestamp()
    time.FromDatetime(outcome.judged_at)
    return time


def _duration(latency_s: float) -> Duration:
    duration = Duration()
    try:
        duration.FromNanoseconds(round(latency_s * _NANO))
    except (ValueError, OverflowError):
        raise ValueError(f"latency_s: a finite number of seconds, not {latency_s}") from None
    return duration


def _filled(message: type[_Message], fields: Mapping[str, object]) -> _Message:
    try:
        return message(**fields)
    except (TypeError, ValueError):
        _blame(message, fields)
        raise


def _blame(message: type[Message], fields: Mapping[str, object]) -> None:
    """Raises what is wrong with one field by its name, which protobuf leaves out."""
    for name, value in fields.items():
        try:
            message(**{name: value})
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


def _cell(cell: pb.Cell) -> Cell:
    return Cell(
        traffic_class=cell.traffic_class,
        payer=cell.payer,
        domain=cell.domain,
        size_bucket=cell.size_bucket,
        payload_kind=cell.payload_kind,
    )


def _target(target: pb.Target) -> Target:
    return Target(model=target.model, version=target.version, endpoint=target.endpoint)


def _reason(reason: pb.Reason) -> Reason:
    # A server may know bases that this client does not.
    return Reason(rule=reason.rule, basis=_BASES.get(reason.basis, ""), text=reason.text)
