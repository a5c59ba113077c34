"""From a caller's words to messages of the contract, and from its answers to plain values."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration

from turnout.answers import Answer, Cell, Decision, Reason, Target, Usage
from turnout.filling import filled, refuse_half_characters, within
from turnout.request import (
    BatchFields,
    ContextFields,
    FeatureFields,
    RequestFields,
    SerializesToString,
)
from turnout.v1 import routing_pb2 as pb

_NANO = 1_000_000_000
_CONTENT = ("text", "oip_request", "openai_chat")
_PAYLOAD_KINDS = {"text": pb.PAYLOAD_KIND_TEXT, "tensors": pb.PAYLOAD_KIND_TENSORS}
_BASES = {pb.BASIS_PLAN: "plan", pb.BASIS_CLASS: "class", pb.BASIS_GREEDY: "greedy"}

_Request = TypeVar("_Request", pb.InferRequest, pb.InferStreamRequest)


def shown(key: str | None) -> tuple[tuple[str, str], ...]:
    """What calls show of who makes them; raises ValueError, which does not say the key."""
    if key is None:
        return ()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("key: what 'turnout keys create' printed, without a line's end")
    return (("authorization", f"Bearer {key}"),)


def route_request(fields: BatchFields, *, dry_run: bool = False) -> pb.RouteRequest:
    """Raises TypeError or ValueError, and names the keyword."""
    _refuse_unknown(fields, BatchFields)
    if sum(fields.get(name) is not None for name in _CONTENT) > 1:
        raise ValueError("give one of text, oip_request and openai_chat, not several")
    oip_request, openai_chat = fields.get("oip_request"), fields.get("openai_chat")
    return filled(
        pb.RouteRequest,
        {
            "context": _context(fields),
            "features": _features(fields),
            "dry_run": dry_run,
            "text": fields.get("text"),
            "oip_request": None if oip_request is None else _serialised(oip_request),
            "openai_chat": None if openai_chat is None else body(openai_chat, "openai_chat"),
        },
    )


def infer_request(
    oip_request: bytes | SerializesToString, *, fields: RequestFields
) -> pb.InferRequest:
    """Raises TypeError or ValueError, and names the keyword."""
    return payload_request(pb.InferRequest, fields, oip_request=_serialised(oip_request))


def payload_request(message: type[_Request], fields: RequestFields, **payload: object) -> _Request:
    """A payload that is None stays unset. Raises TypeError or ValueError, and names the keyword."""
    _refuse_unknown(fields, RequestFields)
    context_and_features = {"context": _context(fields), "features": _features(fields)}
    return filled(message, {**context_and_features, **payload})


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
    return Answer(oip_response=response.oip_response, **answered(response))


def answered(response: pb.InferResponse) -> dict[str, Any]:
    """What every answer tells beside what the model said, by the names of its fields."""
    return {
        "decision_id": response.decision_id,
        "plan_id": response.plan_id,
        "cell": _cell(response.cell),
        "target": _target(response.target),
        "reason": _reason(response.reason),
        "report_wanted": response.report_wanted,
        "request_id": response.request_id,
        "usage": _usage(response.usage),
        "cost_nano_usd": response.cost_nano_usd,
        "attempts": response.attempts,
    }


def seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / _NANO


def _serialised(message: bytes | SerializesToString) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


def body(chat: bytes | Mapping[str, object], name: str) -> bytes:
    """What is sent of a Chat Completions request; `name` is the keyword that is blamed."""
    if isinstance(chat, bytes):
        return chat
    with within(name):
        text = json.dumps(chat, ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        refuse_half_characters(chat, name)
        raise


def _refuse_unknown(fields: Mapping[str, object], known: type) -> None:
    unknown = fields.keys() - known.__annotations__.keys()
    if unknown:
        raise TypeError(f"no such keyword: {', '.join(sorted(unknown))}")


def _context(fields: RequestFields) -> pb.RequestContext:
    return filled(pb.RequestContext, _part(fields, ContextFields))


def _features(fields: RequestFields) -> pb.Features:
    stated = _part(fields, FeatureFields)
    if "payload_kind" in fields:
        stated["payload_kind"] = _payload_kind(fields["payload_kind"])
    return filled(pb.Features, stated)


def _part(fields: Mapping[str, object], part: type) -> dict[str, object]:
    return {name: fields[name] for name in part.__annotations__ if name in fields}


def _payload_kind(name: str) -> pb.PayloadKind.ValueType:
    if name not in _PAYLOAD_KINDS:
        raise ValueError(f'payload_kind: "text" or "tensors", not {name!r}')
    return _PAYLOAD_KINDS[name]


def _cell(cell: pb.Cell) -> Cell:
    return Cell(
        traffic_class=cell.traffic_class,
        payer=cell.payer,
        domain=cell.domain,
        size_bucket=cell.size_bucket,
        payload_kind=cell.payload_kind,
    )


def _target(target: pb.Target) -> Target:
    return Target(
        model=target.model,
        version=target.version,
        endpoint=target.endpoint,
        upstream_name=target.upstream_name,
    )


def _usage(usage: pb.Usage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        latency_s=seconds(usage.latency),
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_input_tokens=usage.cache_write_input_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        estimated=usage.estimated,
    )


def _reason(reason: pb.Reason) -> Reason:
    # A server may know bases that this client does not.
    return Reason(rule=reason.rule, basis=_BASES.get(reason.basis, ""), text=reason.text)
