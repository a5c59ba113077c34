"""inference.GRPCInferenceService: Turnout called as if it were one model server.

A model's name is a class, or "auto": then the rules decide. Requests and responses of ModelInfer
stay bytes; the model_name of a response is the model that answered.
"""

from collections.abc import Callable

from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import TENSORS, Asked
from server.routing.catalog import PayloadKind
from server.routing.errors import NotFound
from server.routing.readiness import Readiness
from server.routing.router import Router
from server.rpc import convert
from server.rpc.answer_metadata import head, trailers
from server.rpc.callers import admit_for_long
from server.rpc.class_name import AUTO
from server.rpc.convert import TENANT_KEY
from server.rpc.errors import Context
from server.rpc.raw import raw
from server.rpc.routing import forwarded
from server.rpc.wire import Bytes
from server.transport.grpc.methods import in_task
from server.wire import oip_pb2, oip_pb2_grpc


class OipServicer(oip_pb2_grpc.GRPCInferenceServiceServicer):
    """For callers who have stubs of the Open Inference Protocol and nothing of ours."""

    def __init__(
        self,
        router: Router,
        dispatcher: Dispatcher,
        ready: Callable[[], Readiness],
        *,
        now_s: Callable[[], float],
        version: str,
    ) -> None:
        self._router = router
        self._dispatcher = dispatcher
        self._ready = ready
        self._callers = router.callers
        self._now_s = now_s
        self._version = version

    async def ServerLive(
        self, request: oip_pb2.ServerLiveRequest, context: Context
    ) -> oip_pb2.ServerLiveResponse:
        return oip_pb2.ServerLiveResponse(live=True)

    async def ServerReady(
        self, request: oip_pb2.ServerReadyRequest, context: Context
    ) -> oip_pb2.ServerReadyResponse:
        return oip_pb2.ServerReadyResponse(ready=self._answers_tensors())

    async def ModelReady(
        self, request: oip_pb2.ModelReadyRequest, context: Context
    ) -> oip_pb2.ModelReadyResponse:
        """The name is that of a class, "auto", or else that of a model."""
        name, ready = request.name, self._ready()
        if name == AUTO or name in ready.classes:
            return oip_pb2.ModelReadyResponse(ready=self._answers_tensors())
        return oip_pb2.ModelReadyResponse(ready=name in ready.models)

    async def ServerMetadata(
        self, request: oip_pb2.ServerMetadataRequest, context: Context
    ) -> oip_pb2.ServerMetadataResponse:
        return oip_pb2.ServerMetadataResponse(name="turnout", version=self._version)

    async def ModelMetadata(
        self, request: oip_pb2.ModelMetadataRequest, context: Context
    ) -> oip_pb2.ModelMetadataResponse:
        """A class's tensors are those of its models, which we do not read: none are listed."""
        if not self._serves(request.name):
            raise NotFound(
                f"there is no class {request.name!r}: name one of the configuration, or {AUTO!r}",
                field="name",
            )
        return oip_pb2.ModelMetadataResponse(name=request.name, platform="turnout")

    @in_task
    @raw
    async def ModelInfer(self, request: Bytes, context: Context) -> Bytes:  # type: ignore[override]
        caller = None
        if self._callers.is_on:
            caller = admit_for_long(self._callers, context, now_s=self._now_s())
        invocation_metadata = context.invocation_metadata()
        metadata = convert.text_metadata(invocation_metadata)
        query = convert.oip_query(request, metadata, self._router.catalog.classes)
        if caller is not None:
            query.sign(caller, tenant_at=TENANT_KEY)
        answer = await self._dispatcher.infer(
            query,
            Asked(request, TENSORS),
            timeout_s=context.time_remaining(),
            metadata=forwarded(invocation_metadata),
        )
        await context.send_initial_metadata(head(answer))
        context.set_trailing_metadata(trailers(answer))
        return answer.response

    def _answers_tensors(self) -> bool:
        """Whether some model can answer tensors, which are all that ModelInfer takes."""
        return PayloadKind.TENSORS in self._ready().forwarded

    def _serves(self, name: str) -> bool:
        return name == AUTO or name in self._router.catalog.classes
