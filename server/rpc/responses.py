"""Decisions as bytes. What many of them share is serialized once.

A reader takes two serialized messages, one behind the other, for one. So a response is what
decisions share, with what is a decision's own behind it. No field is in both, for not every reader
merges the halves of a message within a message.
"""

from typing import TypeAlias
from weakref import WeakKeyDictionary

from google.protobuf.duration_pb2 import Duration

from server.dispatch.answers import Answer, StreamedAnswer
from server.dispatch.exchange import Bytes
from server.routing.catalog import Cell
from server.routing.decision import Decision, Grounds
from server.routing.endpoints import Target
from server.routing.router import Router
from server.rpc.chat_text import said
from server.rpc.wire import delimited, length_of
from turnout.v1 import routing_pb2 as pb

# Larger answers of endpoints are not copied behind what we say of them.
JOINED_BYTES_MAX = 64 * 2**10
_OIP_RESPONSE = b"\x0a"  # the tag of InferResponse's field 1
_END = pb.InferStreamResponse.END_FIELD_NUMBER
# Decisions on the same grounds differ in little that was read: in what gave their domain away.
READ_MAX = 16

# Serialized parts, by grounds and by what was read.
_Kept: TypeAlias = WeakKeyDictionary[Grounds, dict[str, bytes]]


class Responses:
    """Serializes answers; keeps at most READ_MAX shared parts for each of the grounds in use."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._of_routes: _Kept = WeakKeyDictionary()
        self._of_infers: _Kept = WeakKeyDictionary()

    def route(self, decision: Decision, decision_id: str, request_id: str) -> bytes:
        """A RouteResponse; an empty id is that of a dry run."""
        own = pb.RouteResponse()
        own.decision_id = decision_id
        _set_own(own, decision, request_id)
        return self._shared_by_routes(decision) + own.SerializeToString()

    def infer(self, answer: Answer, request_id: str) -> bytes | tuple[bytes, Bytes]:
        """An InferResponse; in two parts where the endpoint's answer is too large to be copied."""
        decision = answer.decision
        own = pb.InferResponse()
        own.decision_id = answer.decision_id
        own.cost_nano_usd = answer.cost_nano_usd
        own.attempts = answer.attempts
        own.usage.input_tokens = decision.reading.input_tokens
        _set_duration(own.usage.latency, answer.latency_s)
        _set_target(own.target, answer.target)
        _set_own(own, decision, request_id)
        response = answer.response
        parts = (
            self._shared_by_infers(decision),
            own.SerializeToString(),
            _OIP_RESPONSE,
            length_of(len(response)),
        )
        if len(response) > JOINED_BYTES_MAX:
            return b"".join(parts), response
        return b"".join((*parts, response))

    def worded(self, answer: Answer, request_id: str, *, is_text: bool) -> bytes:
        """An InferResponse of a text or a chat."""
        own = _own_of(answer, request_id)
        if is_text:
            own.text, own.finish_reason = said(answer.response)
        else:
            own.openai_chat = bytes(answer.response)
        return self._shared_by_infers(answer.decision) + own.SerializeToString()

    def end(self, answer: StreamedAnswer, request_id: str, finish_reason: str) -> bytes:
        """The last InferStreamResponse of a stream."""
        own = _own_of(answer, request_id)
        own.finish_reason = finish_reason
        shared = self._shared_by_infers(answer.decision)
        return delimited(_END, shared + own.SerializeToString())

    def _shared_by_routes(self, decision: Decision) -> bytes:
        shared = _found(self._of_routes, decision)
        if shared is None:
            response = pb.RouteResponse()
            _fill_route(response, decision, self._router)
            shared = response.SerializeToString()
            if self._router.is_fixed(decision.grounds):
                _keep(self._of_routes, decision, shared)
        return shared

    def _shared_by_infers(self, decision: Decision) -> bytes:
        shared = _found(self._of_infers, decision)
        if shared is None:
            response = pb.InferResponse(plan_id=decision.grounds.plan_id)
            _set_cell(response.cell, decision.grounds.cell)
            _set_reason(response.reason, decision)
            shared = response.SerializeToString()
            _keep(self._of_infers, decision, shared)
        return shared


def _own_of(answer: Answer | StreamedAnswer, request_id: str) -> pb.InferResponse:
    """What no other answer has, but for the payload."""
    own, usage = pb.InferResponse(), answer.counted
    own.decision_id = answer.decision_id
    own.cost_nano_usd = answer.cost_nano_usd
    own.attempts = answer.attempts
    own.usage.input_tokens = usage.all_input
    own.usage.output_tokens = usage.all_output
    own.usage.cached_input_tokens = usage.cached_input
    own.usage.cache_write_input_tokens = usage.cache_write_input
    own.usage.reasoning_tokens = usage.reasoning
    own.usage.estimated = answer.usage is None
    _set_duration(own.usage.latency, answer.latency_s)
    _set_target(own.target, answer.target)
    _set_own(own, answer.decision, request_id)
    return own


def _found(kept: _Kept, decision: Decision) -> bytes | None:
    of_grounds = kept.get(decision.grounds)
    return None if of_grounds is None else of_grounds.get(decision.reading.why)


def _keep(kept: _Kept, decision: Decision, shared: bytes) -> None:
    of_grounds = kept.setdefault(decision.grounds, {})
    if len(of_grounds) < READ_MAX:
        of_grounds[decision.reading.why] = shared


def batch_route(decision: Decision, router: Router) -> pb.BatchRoute:
    """What a decision of a batch shares with others."""
    route = pb.BatchRoute()
    _fill_route(route, decision, router)
    return route


def _set_own(
    message: pb.RouteResponse | pb.InferResponse, decision: Decision, request_id: str
) -> None:
    if decision.audit_probability > 0:
        message.report_wanted = True
    if request_id:
        message.request_id = request_id


def _fill_route(
    message: pb.RouteResponse | pb.BatchRoute, decision: Decision, router: Router
) -> None:
    # Filled in place: messages that are made apart are copied, which takes twice as long.
    grounds = decision.grounds
    message.plan_id = grounds.plan_id
    message.expected_cost_nano_usd = grounds.pick.cost_nano_usd
    _set_cell(message.cell, grounds.cell)
    _set_target(message.target, decision.target)
    for index in grounds.fallbacks:
        _set_target(message.fallbacks.add(), router.target(index))
    _set_duration(message.reuse_for, grounds.reuse_for_s)
    _set_reason(message.reason, decision)


def _set_cell(message: pb.Cell, cell: Cell) -> None:
    message.traffic_class, message.payer, message.domain = cell[:3]
    message.size_bucket, message.payload_kind = cell[3:]


def _set_target(message: pb.Target, target: Target) -> None:
    message.model = target.model.name
    message.version = target.model.version
    message.endpoint = target.endpoint
    if target.model.upstream_name != target.model.name:
        message.upstream_name = target.model.upstream_name


def _set_reason(message: pb.Reason, decision: Decision) -> None:
    message.rule = decision.grounds.rule
    message.basis = pb.Basis.ValueType(decision.grounds.pick.basis)
    message.text = decision.reason


def _set_duration(message: Duration, seconds: float) -> None:
    message.seconds = whole = int(seconds)
    message.nanos = int((seconds - whole) * 1e9)
