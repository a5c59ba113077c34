"""turnout.v1.RoutingService: convert, call inward, convert back. No decision is taken here."""

from collections.abc import Awaitable, Callable, Sequence

from server.dispatch import Dispatcher
from server.routing.errors import InvalidRequest
from server.routing.router import Router
from server.routing.tokens import Kind
from server.rpc import convert
from server.rpc.batch import BatchCall
from server.rpc.errors import Context
from turnout.v1 import routing_pb2 as pb
from turnout.v1 import routing_pb2_grpc

# One settlement holds the control plane for about 10 ms at this size.
OUTCOMES_MAX = 1_000
# What is passed on to endpoints: tracing, never credentials.
FORWARDED_KEYS = frozenset({"traceparent", "tracestate", "baggage", "x-request-id"})

Settle = Callable[[Sequence[pb.Outcome]], Awaitable[Sequence[pb.OutcomeResult]]]


class RoutingServicer(routing_pb2_grpc.RoutingServiceServicer):
    """What callers of Turnout use."""

    def __init__(
        self,
        router: Router,
        dispatcher: Dispatcher,
        settle: Settle,
        on_refused: Callable[[str], None],
        *,
        now_s: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """`on_refused` is told the reason of each request of a batch that is refused."""
        self._router = router
        self._dispatcher = dispatcher
        self._settle = settle
        self._on_refused = on_refused
        self._now_s = now_s
        self._chance = chance

    async def Route(self, request: pb.RouteRequest, context: Context) -> pb.RouteResponse:
        query = convert.route_query(request, convert.text_metadata(context.invocation_metadata()))
        now_s = self._now_s()
        if request.dry_run:
            decision, decision_id = self._router.dry_run(query, now_s=now_s), ""
        else:
            decision = self._router.decide(query, now_s=now_s, chance=self._chance())
            decision_id = self._router.seal(
                decision, Kind.ROUTE, decision.target.model, now_s=now_s
            )
        return convert.route_response(
            decision, decision_id, self._router, request.context.request_id
        )

    async def RouteBatch(
        self, request: pb.RouteBatchRequest, context: Context
    ) -> pb.RouteBatchResponse:
        call = BatchCall(
            self._router,
            convert.text_metadata(context.invocation_metadata()),
            self._on_refused,
            now_s=self._now_s,
            chance=self._chance,
        )
        return await call.answer(request)

    async def Infer(self, request: pb.InferRequest, context: Context) -> pb.InferResponse:
        metadata = convert.text_metadata(context.invocation_metadata())
        answer = await self._dispatcher.infer(
            convert.infer_query(request, metadata),
            request.oip_request,
            timeout_s=context.time_remaining(),
            metadata=forwarded(metadata),
        )
        return convert.infer_response(answer, request.context.request_id)

    async def Report(self, request: pb.ReportRequest, context: Context) -> pb.ReportResponse:
        if len(request.outcomes) > OUTCOMES_MAX:
            raise InvalidRequest(
                f"more than {OUTCOMES_MAX:,} outcomes: send them in several calls", field="outcomes"
            )
        return pb.ReportResponse(results=await self._settle(request.outcomes))


def forwarded(metadata: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Of a caller's metadata, what endpoints get."""
    # Some peers let other characters through, on which our own client would fail.
    return tuple(
        (key, metadata[key])
        for key in FORWARDED_KEYS & metadata.keys()
        if metadata[key].isascii() and metadata[key].isprintable()
    )
