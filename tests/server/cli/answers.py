"""What the server of these tests answers, and what it was asked."""

import threading
from collections.abc import Iterator

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from tests.server.cli import samples
from turnout.v1 import admin_pb2 as pb
from turnout.v1 import routing_pb2
from turnout.v1.admin_pb2_grpc import AdminServiceServicer
from turnout.v1.routing_pb2_grpc import RoutingServiceServicer

Context = grpc.ServicerContext


class Answers:
    """Of both services. A refusal, once set, is what every call gets."""

    def __init__(self) -> None:
        self.plans: list[pb.Plan | None] = [samples.plan()]  # one a call, then the last again
        self.no_plan_reason = ""
        self.decision = samples.decision()
        self.refusal: status_pb2.Status | None = None
        self.metadata: dict[str, str | bytes] = {}
        self.routed = routing_pb2.RouteRequest()
        self.wanted = pb.GetPlanRequest()
        self.updated = pb.UpdateModelRequest()
        self.class_update = pb.UpdateClassRequest()
        self.budget_update = pb.UpdateBudgetRequest()
        self.updates = samples.updates()
        self.reports: list[routing_pb2.ReportRequest] = []
        self.results: dict[str, str] = {}  # the reason against a decision
        self.takes_text = True
        self.inferred: list[routing_pb2.InferRequest | routing_pb2.InferStreamRequest] = []
        self.words = ("Par", "is", ".")  # what models say, in pieces
        self.breaks = False  # a stream, after its last piece
        self.hangs = False  # a stream, after its first piece, until its caller leaves
        self.left = threading.Event()  # by the caller of such a stream
        self.info = pb.GetServerInfoResponse()
        self.replaced = pb.UpdateClassifierRequest()
        self.replacement = pb.UpdateClassifierResponse(in_force=True)
        self.reload = pb.ReloadConfigRequest()
        self.reloaded = pb.ReloadConfigResponse(in_force=True)
        self.keys = pb.ListKeysResponse()
        self.created = pb.CreateKeyRequest()
        self.rotated = pb.RotateKeyRequest()
        self.revoked = pb.RevokeKeyRequest()
        self.behind: list[str] = []

    def refuse(self, code: grpc.StatusCode, reason: str, message: str) -> None:
        self.refusal = _status(code, reason, message)

    def asked(self, context: Context) -> None:
        self.metadata = dict(context.invocation_metadata())
        if self.refusal is not None:
            context.abort_with_status(rpc_status.to_status(self.refusal))


def _status(code: grpc.StatusCode, reason: str, message: str) -> status_pb2.Status:
    detail = AnyMessage()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="turnout"))
    details = [detail] if reason else []
    return status_pb2.Status(code=code.value[0], message=message, details=details)


class Admin(AdminServiceServicer):
    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def GetServerInfo(
        self, request: pb.GetServerInfoRequest, context: Context
    ) -> pb.GetServerInfoResponse:
        return self._answers.info

    def UpdateClassifier(
        self, request: pb.UpdateClassifierRequest, context: Context
    ) -> pb.UpdateClassifierResponse:
        self._answers.asked(context)
        self._answers.replaced = request
        return self._answers.replacement

    def ReloadConfig(
        self, request: pb.ReloadConfigRequest, context: Context
    ) -> pb.ReloadConfigResponse:
        self._answers.asked(context)
        self._answers.reload = request
        return self._answers.reloaded

    def UpdateClass(
        self, request: pb.UpdateClassRequest, context: Context
    ) -> pb.UpdateClassResponse:
        self._answers.asked(context)
        self._answers.class_update = request
        return pb.UpdateClassResponse(traffic_class=request.traffic_class)

    def UpdateBudget(
        self, request: pb.UpdateBudgetRequest, context: Context
    ) -> pb.UpdateBudgetResponse:
        self._answers.asked(context)
        self._answers.budget_update = request
        return pb.UpdateBudgetResponse(budget=request.budget)

    def ListClasses(
        self, request: pb.ListClassesRequest, context: Context
    ) -> pb.ListClassesResponse:
        self._answers.asked(context)
        return pb.ListClassesResponse(classes=samples.classes())

    def ListBudgets(
        self, request: pb.ListBudgetsRequest, context: Context
    ) -> pb.ListBudgetsResponse:
        self._answers.asked(context)
        return pb.ListBudgetsResponse(budgets=samples.budgets())

    def ListUpdates(
        self, request: pb.ListUpdatesRequest, context: Context
    ) -> pb.ListUpdatesResponse:
        self._answers.asked(context)
        return pb.ListUpdatesResponse(updates=self._answers.updates)

    def GetPlan(self, request: pb.GetPlanRequest, context: Context) -> pb.GetPlanResponse:
        self._answers.asked(context)
        self._answers.wanted = request
        plans = self._answers.plans
        plan = plans.pop(0) if len(plans) > 1 else plans[0]
        return pb.GetPlanResponse(plan=plan, no_plan_reason=self._answers.no_plan_reason)

    def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        self._answers.asked(context)
        return pb.ListModelsResponse(models=samples.models())

    def UpdateModel(
        self, request: pb.UpdateModelRequest, context: Context
    ) -> pb.UpdateModelResponse:
        self._answers.asked(context)
        self._answers.updated = request
        return pb.UpdateModelResponse(model=request.model)

    def CreateKey(self, request: pb.CreateKeyRequest, context: Context) -> pb.CreateKeyResponse:
        self._answers.asked(context)
        self._answers.created = request
        return pb.CreateKeyResponse(key=request.key, secret="tk_new", behind=self._answers.behind)

    def ListKeys(self, request: pb.ListKeysRequest, context: Context) -> pb.ListKeysResponse:
        self._answers.asked(context)
        return self._answers.keys

    def RotateKey(self, request: pb.RotateKeyRequest, context: Context) -> pb.RotateKeyResponse:
        self._answers.asked(context)
        self._answers.rotated = request
        return pb.RotateKeyResponse(secret="tk_newer", behind=self._answers.behind)

    def RevokeKey(self, request: pb.RevokeKeyRequest, context: Context) -> pb.RevokeKeyResponse:
        self._answers.asked(context)
        self._answers.revoked = request
        return pb.RevokeKeyResponse(behind=self._answers.behind)


class Routing(RoutingServiceServicer):
    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def Route(
        self, request: routing_pb2.RouteRequest, context: Context
    ) -> routing_pb2.RouteResponse:
        self._answers.asked(context)
        if request.text and not self._answers.takes_text:
            refusal = _status(grpc.StatusCode.FAILED_PRECONDITION, "NO_CANDIDATE", "no model")
            context.abort_with_status(rpc_status.to_status(refusal))
        self._answers.routed = request
        return self._answers.decision

    def RouteBatch(
        self, request: routing_pb2.RouteBatchRequest, context: Context
    ) -> routing_pb2.RouteBatchResponse:
        return routing_pb2.RouteBatchResponse()

    def Infer(
        self, request: routing_pb2.InferRequest, context: Context
    ) -> routing_pb2.InferResponse:
        self._answers.asked(context)
        self._answers.inferred.append(request)
        words = "".join(self._answers.words)
        if request.openai_chat:
            return samples.answer(openai_chat=samples.completion("message", words))
        return samples.answer(text=words)

    def InferStream(
        self, request: routing_pb2.InferStreamRequest, context: Context
    ) -> Iterator[routing_pb2.InferStreamResponse]:
        self._answers.asked(context)
        self._answers.inferred.append(request)
        for word in self._answers.words:
            if request.openai_chat:
                chunk = samples.completion("delta", word)
                yield routing_pb2.InferStreamResponse(openai_chunk=chunk)
            else:
                yield routing_pb2.InferStreamResponse(text_delta=word)
            if self._answers.hangs:
                self._hold_until_left(context)
                return
        if self._answers.breaks:
            broken = _status(grpc.StatusCode.UNAVAILABLE, "STREAM_BROKEN", "it broke off")
            context.abort_with_status(rpc_status.to_status(broken))
        yield routing_pb2.InferStreamResponse(end=samples.answer())

    def _hold_until_left(self, context: Context) -> None:
        if context.add_callback(self._answers.left.set):
            self._answers.left.wait(20)
        else:
            self._answers.left.set()

    def Report(
        self, request: routing_pb2.ReportRequest, context: Context
    ) -> routing_pb2.ReportResponse:
        self._answers.asked(context)
        self._answers.reports.append(request)
        reasons = (self._answers.results.get(one.decision_id, "") for one in request.outcomes)
        return routing_pb2.ReportResponse(
            results=[
                routing_pb2.OutcomeResult(reason=reason, message=reason and "it was not counted")
                for reason in reasons
            ]
        )
