"""A small server that keeps the contract of turnout.v1, and refuses where a test tells it to."""

import json
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from server.wire import oip_pb2
from turnout.v1 import routing_pb2 as pb
from turnout.v1 import routing_pb2_grpc

Request = (
    pb.RouteRequest
    | pb.RouteBatchRequest
    | pb.InferRequest
    | pb.InferStreamRequest
    | pb.ReportRequest
)

DETAILS = "grpc-status-details-bin"
COST_NANO_USD = 1_500_000
MODEL = pb.Target(model="small", version="3", endpoint="127.0.0.1:9001")
FALLBACK = pb.Target(model="large", version="1", endpoint="127.0.0.1:9002")
REASON = pb.Reason(rule="context", basis=pb.BASIS_PLAN, text="small has 80 % of chat")
PLAN_ID = "plan-7"
USAGE = pb.Usage(
    input_tokens=7,
    output_tokens=9,
    latency=Duration(nanos=250_000_000),
    cached_input_tokens=3,
    reasoning_tokens=2,
    estimated=True,
)
# What a language model says, in pieces.
WORDS = ("", "Paris", ", of course", ".")
UNKNOWN_CLASS = pb.Refusal(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message="no such class")
for _detail in (
    ErrorInfo(reason="CLASS_UNKNOWN", domain="turnout"),
    BadRequest(
        field_violations=[
            BadRequest.FieldViolation(field="context.traffic_class", description="no such class")
        ]
    ),
):
    UNKNOWN_CLASS.details.add().Pack(_detail)


@dataclass(frozen=True)
class Refusal:
    """What one call is answered with instead of an answer."""

    code: grpc.StatusCode
    details: Sequence[Message] = ()
    message: str = "not now"
    trailer: bytes = b""  # goes out as the status instead of the one made from the details
    after_work: bool = False  # what was asked is done, only the answer is lost


def overloaded(retry_after_s: float = 0.001) -> Refusal:
    """How Turnout asks to be called again: it has asked no model."""
    delay = Duration()
    delay.FromNanoseconds(int(retry_after_s * 1e9))
    return Refusal(
        grpc.StatusCode.UNAVAILABLE,
        [ErrorInfo(reason="OVERLOADED", domain="turnout"), RetryInfo(retry_delay=delay)],
    )


def silent() -> Refusal:
    """UNAVAILABLE as a proxy or a dying server says it: nobody knows what was done."""
    return Refusal(grpc.StatusCode.UNAVAILABLE)


@dataclass
class ContractServicer(routing_pb2_grpc.RoutingServiceServicer):
    """Remembers each request with the time it came with; refuses first, in the order told."""

    refusals: deque[Refusal] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    times_remaining_s: list[float | None] = field(default_factory=list)
    peers: set[str] = field(default_factory=set)
    authorizations: list[str] = field(default_factory=list)
    hang: threading.Event | None = None  # answers nothing until it is set
    hangs_within: bool = False  # its streams stop after their first piece
    reached: threading.Event = field(default_factory=threading.Event)  # by a call that then hangs
    left: threading.Event = field(default_factory=threading.Event)  # by the caller of one that hung
    breaks: Refusal | None = None  # how its streams end after their second piece
    ends: bool = True  # its streams say in the end what they took
    _counted: set[str] = field(default_factory=set)

    def Route(self, request: pb.RouteRequest, context: grpc.ServicerContext) -> pb.RouteResponse:
        self._receive(request, context)
        return pb.RouteResponse(
            decision_id="" if request.dry_run else f"decision-{len(self.requests)}",
            plan_id=PLAN_ID,
            cell=_cell(request.context),
            target=MODEL,
            fallbacks=[FALLBACK],
            reason=REASON,
            expected_cost_nano_usd=COST_NANO_USD,
            reuse_for=Duration(seconds=1, nanos=500_000_000),
            report_wanted=True,
            request_id=request.context.request_id,
        )

    def RouteBatch(
        self, request: pb.RouteBatchRequest, context: grpc.ServicerContext
    ) -> pb.RouteBatchResponse:
        """Refuses items of a class named "nope"."""
        self._receive(request, context)
        response = pb.RouteBatchResponse()
        for place, each in enumerate(request.requests):
            result = response.results.add()
            if each.context.traffic_class == "nope":
                result.refusal.CopyFrom(UNKNOWN_CLASS)
                continue
            result.route = len(response.routes)
            result.decision_id = f"decision-{place}"
            result.report_wanted = place == 0
            result.request_id = each.context.request_id
            response.routes.add(
                plan_id=PLAN_ID,
                cell=_cell(each.context),
                target=MODEL,
                fallbacks=[FALLBACK],
                reason=REASON,
                expected_cost_nano_usd=COST_NANO_USD,
                reuse_for=Duration(seconds=1, nanos=500_000_000),
            )
        return response

    def Infer(self, request: pb.InferRequest, context: grpc.ServicerContext) -> pb.InferResponse:
        self._receive(request, context)
        if request.WhichOneof("payload") == "text":
            return self._answer(request, text="".join(WORDS), finish_reason="stop")
        if request.WhichOneof("payload") == "openai_chat":
            return self._answer(request, openai_chat=completion("message", "".join(WORDS), "stop"))
        asked = oip_pb2.ModelInferRequest.FromString(request.oip_request)
        answered = oip_pb2.ModelInferResponse(model_name=MODEL.model, id=asked.id)
        return self._answer(request, oip_response=answered.SerializeToString())

    def InferStream(
        self, request: pb.InferStreamRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.InferStreamResponse]:
        """Hangs, where it is told to, after the first piece, until its caller has left."""
        self._receive(request, context)
        is_text = request.WhichOneof("payload") == "text"
        if self.hangs_within:  # before the first piece: who leaves with that may be gone at once
            self._tell_left(context)
        for number, word in enumerate(WORDS):
            reason = "length" if word == WORDS[-1] else None
            chunk = completion("delta", word, reason)
            yield (
                pb.InferStreamResponse(text_delta=word)
                if is_text
                else pb.InferStreamResponse(openai_chunk=chunk)
            )
            if number == 0 and self.hangs_within:
                self.left.wait(20)
                return
            if number == 1 and self.breaks is not None:
                _abort(context, self.breaks)
        if self.ends:
            end = self._answer(request, finish_reason="length" if is_text else "")
            yield pb.InferStreamResponse(end=end)

    def _answer(
        self, request: pb.InferRequest | pb.InferStreamRequest, **payload: Any
    ) -> pb.InferResponse:
        return pb.InferResponse(
            decision_id=f"decision-{len(self.requests)}",
            plan_id=PLAN_ID,
            cell=_cell(request.context),
            target=MODEL,
            reason=REASON,
            usage=USAGE,
            cost_nano_usd=COST_NANO_USD,
            attempts=2,
            report_wanted=True,
            request_id=request.context.request_id,
            **payload,
        )

    def Report(self, request: pb.ReportRequest, context: grpc.ServicerContext) -> pb.ReportResponse:
        if self.refusals and self.refusals[0].after_work:
            self._settle(request)
        self._receive(request, context)
        return self._settle(request)

    def _receive(self, request: Request, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        self.times_remaining_s.append(context.time_remaining())
        self.peers.add(context.peer())
        shown = [v for k, v in context.invocation_metadata() if k == "authorization"]
        self.authorizations += [value for value in shown if isinstance(value, str)]
        if self.hang is not None:
            self._tell_left(context)
            self.reached.set()
            self.hang.wait()
        if self.refusals:
            _abort(context, self.refusals.popleft())

    def _tell_left(self, context: grpc.ServicerContext) -> None:
        if not context.add_callback(self.left.set):  # it has left
            self.left.set()

    def _settle(self, request: pb.ReportRequest) -> pb.ReportResponse:
        return pb.ReportResponse(results=[self._result(outcome) for outcome in request.outcomes])

    def _result(self, outcome: pb.Outcome) -> pb.OutcomeResult:
        if any(not 0 <= grade.value <= 1 for grade in outcome.feedback):
            return pb.OutcomeResult(reason="QUALITY_INVALID", message="quality: from 0 to 1")
        if outcome.HasField("usage"):
            if outcome.decision_id in self._counted:
                return pb.OutcomeResult(reason="USAGE_DUPLICATE", message="counted already")
            self._counted.add(outcome.decision_id)
        return pb.OutcomeResult()


def completion(part: str, text: str, finish_reason: str | None) -> bytes:
    """The body of a Chat Completions response, or with "delta" a chunk of one."""
    choice = {"index": 0, part: {"content": text}, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice]}).encode()


@contextmanager
def serving(
    servicer: ContractServicer, credentials: grpc.ServerCredentials | None = None
) -> Iterator[str]:
    """Yields the address. A servicer that hangs is let go at the end."""
    with ThreadPoolExecutor(8) as pool:
        # No limit here, so that a test meets the client's.
        server = grpc.server(pool, options=[("grpc.max_receive_message_length", -1)])
        routing_pb2_grpc.add_RoutingServiceServicer_to_server(servicer, server)
        if credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            if servicer.hang is not None:
                servicer.hang.set()
            server.stop(None).wait()


def _abort(context: grpc.ServicerContext, refusal: Refusal) -> None:
    trailer = refusal.trailer
    if refusal.details:
        status = Status(code=refusal.code.value[0], message=refusal.message)
        for detail in refusal.details:
            status.details.add().Pack(detail)
        trailer = status.SerializeToString()
    if trailer:
        context.set_trailing_metadata(((DETAILS, trailer),))
    context.abort(refusal.code, refusal.message)


def _cell(context: pb.RequestContext) -> pb.Cell:
    traffic_class = context.traffic_class or "chat"
    return pb.Cell(traffic_class=traffic_class, payer="team-a", domain="other", size_bucket="s0")
