"""turnout.v1.RoutingService: convert, call inward, convert back. No decision is taken here."""

from collections.abc import Awaitable, Callable, Sequence

from server.dispatch import Bytes, Dispatcher
from server.routing.errors import InvalidRequest
from server.routing.router import Router
from server.routing.tokens import Kind
from server.rpc import convert
from server.rpc.batch import BatchCall
from server.rpc.errors import Context, parsed, raw
from server.rpc.openai_chat import INLINE_BYTES_MAX, Chat
from server.rpc.responses import Responses
from turnout.v1 import routing_pb2 as pb
from turnout.v1 import routing_pb2_grpc

# One settlement holds the control plane for about 10 ms at this size.
OUTCOMES_MAX = 1_000
# What is passed on to endpoints: tracing, never credentials.
FORWARDED_KEYS = frozenset({"traceparent", "tracestate", "baggage", "x-request-id"})

Settle = Callable[[Sequence[pb.Outcome]], Awaitable[Sequence[pb.OutcomeResult]]]
# Takes the body and the peer that sent it.
ReadLargeChat = Callable[[bytes, str], Awaitable[Chat]]


class RoutingServicer(routing_pb2_grpc.RoutingServiceServicer):
    """What callers of Turnout use."""

    def __init__(  # noqa: PLR0913 - what it needs of the worker, and time and chance
        self,
        router: Router,
        dispatcher: Dispatcher,
        settle: Settle,
        read_large_chat: ReadLargeChat,
        on_refused: Callable[[str], None],
        *,
        now_s: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """`on_refused` is told the reason of each request of a batch that is refused."""
        self._router = router
        self._responses = Responses(router)
        self._dispatcher = dispatcher
        self._settle = settle
        self._read_large_chat = read_large_chat
        self._on_refused = on_refused
        self._now_s = now_s
        self._chance = chance

    @raw
    async def Route(self, data: bytes, context: Context) -> bytes:  # type: ignore[override]
        request = parsed(data, pb.RouteRequest.FromString)
        chat = None
        if len(data) > INLINE_BYTES_MAX and (body := convert.large_chat(request)):
            chat = await self._read_large_chat(body, context.peer())
        query = convert.route_query(request, len(data), self._metadata(context), chat)
        now_s = self._now_s()
        if request.dry_run:
            decision, decision_id = self._router.dry_run(query, now_s=now_s), ""
        else:
            decision = self._router.decide(query, now_s=now_s, chance=self._chance())
            decision_id = self._router.seal(
                decision, Kind.ROUTE, decision.target.model, now_s=now_s
            )
        return self._responses.route(decision, decision_id, request.context.request_id)

    async def RouteBatch(
        self, request: pb.RouteBatchRequest, context: Context
    ) -> pb.RouteBatchResponse:
        call = BatchCall(
            self._router,
            # A configuration that comes between two slices may ask for what none asked before.
            convert.text_metadata(context.invocation_metadata()),
            self._on_refused,
            now_s=self._now_s,
            chance=self._chance,
        )
        return await call.answer(request)

    @raw
    async def Infer(  # type: ignore[override]
        self, data: bytes, context: Context
    ) -> bytes | tuple[bytes, Bytes]:
        request = parsed(data, pb.InferRequest.FromString)
        payload = request.oip_request
        answer = await self._dispatcher.infer(
            convert.infer_query(request, payload, len(data), self._metadata(context)),
            payload,
            timeout_s=context.time_remaining(),
            metadata=forwarded(context.invocation_metadata()),
        )
        return self._responses.infer(answer, request.context.request_id)

    async def Report(self, request: pb.ReportRequest, context: Context) -> pb.ReportResponse:
        if len(request.outcomes) > OUTCOMES_MAX:
            raise InvalidRequest(
                f"more than {OUTCOMES_MAX:,} outcomes: send them in several calls", field="outcomes"
            )
        return pb.ReportResponse(results=await self._settle(request.outcomes))

    def _metadata(self, context: Context) -> dict[str, str]:
        """What rules may look at; most look at none, and it takes as long as all rules."""
        if not self._router.asks_metadata:
            return {}
        return convert.text_metadata(context.invocation_metadata())


def forwarded(metadata: convert.Metadata | None) -> tuple[tuple[str, str], ...]:
    """Of a caller's metadata, what endpoints get."""
    # Of two of a name the last: there is one trace.
    kept = {
        key: value
        for key, value in metadata or ()
        if key in FORWARDED_KEYS and isinstance(value, str)
    }
    # Some peers let other characters through, on which our own client would fail.
    return tuple([(k, v) for k, v in kept.items() if v.isascii() and v.isprintable()])
