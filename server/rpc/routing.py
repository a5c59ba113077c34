"""turnout.v1.RoutingService: convert, call inward, convert back. No decision is taken here."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from time import perf_counter

from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import TENSORS, Asked
from server.routing.callers import Caller
from server.routing.decision import Decision
from server.routing.decision_id import Kind
from server.routing.errors import DecisionExpired, DecisionInvalid
from server.routing.query import Query
from server.routing.reported import Reported
from server.routing.router import Router
from server.rpc import convert
from server.rpc.batch import BatchCall
from server.rpc.callers import admit, admit_for_long, find
from server.rpc.carve import INFER, INFER_STREAM, ROUTE, Content
from server.rpc.errors import Context
from server.rpc.infer_content import (
    OIP_REQUEST,
    TEXT,
    asked_by_chat,
    asked_by_text,
    content_of,
    hold_chat,
    streamed_content_of,
)
from server.rpc.infer_events import write_events
from server.rpc.openai_chat import INLINE_BYTES_MAX, Chat, read_chat
from server.rpc.raw import raw
from server.rpc.reports import Listener, OnReported, Settle, settle_outcomes
from server.rpc.responses import Responses
from server.rpc.turns import hold, turn_of
from server.rpc.wire import Bytes
from server.transport.grpc.methods import in_task, lasts
from turnout.v1 import routing_pb2_grpc

# What is passed on to endpoints: tracing, never credentials.
FORWARDED_KEYS = frozenset({"traceparent", "tracestate", "baggage", "x-request-id"})

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
        clock: Callable[[], float] = perf_counter,
        chance: Callable[[], float],
    ) -> None:
        """`on_refused` is told the reason of each request of a batch that is refused.

        `clock` measures how long work takes.
        """
        self._router = router
        self._responses = Responses(router)
        self._dispatcher = dispatcher
        self._settle = settle
        self._read_large_chat = read_large_chat
        self._on_refused = on_refused
        self._callers = router.callers
        self._now_s = now_s
        self._clock = clock
        self._chance = chance
        # Each decision by Route, and each report that counts, is taken down where somebody does so.
        self.on_decided: Callable[[Query, Decision, str], None] | None = None
        self.on_reported: OnReported | None = None

    @raw
    async def Route(self, data: Bytes, context: Context) -> bytes:  # type: ignore[override]
        caller = self._admit(context) if self._callers.is_on else None
        request, content = ROUTE.read(data)
        chat = None
        if content is not None and (body := convert.large_chat(content)):
            chat = await self._read_large_chat(body, context.peer())
        query = convert.route_query(request, len(data), self._metadata(context), content, chat)
        if caller is not None:
            query.sign(caller, tenant_at=convert.TENANT_AT)
        now_s = self._now_s()
        if request.dry_run:
            decision, decision_id = self._router.dry_run(query, now_s=now_s), ""
        else:
            decision = self._router.decide(query, now_s=now_s, chance=self._chance())
            decision_id = self._router.seal(
                decision, Kind.ROUTE, decision.target.model, now_s=now_s
            )
            if self.on_decided is not None:
                self.on_decided(query, decision, decision_id)
        return self._responses.route(decision, decision_id, request.context.request_id)

    @raw
    async def RouteBatch(  # type: ignore[override]
        self, data: Bytes, context: Context
    ) -> list[bytes]:
        caller = self._find(context) if self._callers.is_on else None
        call = BatchCall(
            self._router,
            # A configuration that comes between two slices may ask for what none asked before.
            convert.text_metadata(context.invocation_metadata()),
            self._on_refused,
            turn_of(context),
            caller,
            now_s=self._now_s,
            clock=self._clock,
            chance=self._chance,
        )
        parts = []
        async for part in call.answer(data):
            hold(context, len(part))
            parts.append(part)
        return parts

    @in_task
    @raw
    async def Infer(  # type: ignore[override]
        self, data: Bytes, context: Context
    ) -> bytes | tuple[bytes, Bytes]:
        caller = self._admit_for_long(context) if self._callers.is_on else None
        request, content = INFER.read(data)
        content = content or content_of(request)
        chat, asked = None, Asked(content.data, TENSORS)
        if content.field != OIP_REQUEST:
            chat, asked = await self._worded(content, context, streams=False)
        query = convert.infer_query(request, content, len(data), self._metadata(context), chat)
        if chat is not None and chat.model:
            convert.take_model_name(chat.model, query, self._router.catalog.classes)
        if caller is not None:
            query.sign(caller, tenant_at=convert.TENANT_AT)
        answer = await self._dispatcher.infer(
            query,
            asked,
            timeout_s=context.time_remaining(),
            metadata=forwarded(context.invocation_metadata()),
        )
        request_id = request.context.request_id
        if content.field == OIP_REQUEST:
            return self._responses.infer(answer, request_id)
        return self._responses.worded(answer, request_id, is_text=content.field == TEXT)

    @lasts
    @raw
    async def InferStream(self, data: Bytes, context: Context) -> None:  # type: ignore[override]
        caller = self._admit_for_long(context) if self._callers.is_on else None
        request, content = INFER_STREAM.read(data)
        content = content or streamed_content_of(request)
        chat, asked = await self._worded(content, context, streams=True)
        query = convert.infer_query(request, content, len(data), self._metadata(context), chat)
        if chat is not None and chat.model:
            convert.take_model_name(chat.model, query, self._router.catalog.classes)
        if caller is not None:
            query.sign(caller, tenant_at=convert.TENANT_AT)
        streaming = self._dispatcher.stream(
            query,
            asked,
            timeout_s=context.time_remaining(),
            metadata=forwarded(context.invocation_metadata()),
        )
        is_text, request_id = content.field == TEXT, request.context.request_id
        async with streaming as answer:
            finish_reason = await write_events(answer, context, is_text=is_text)
            await context.write(self._responses.end(answer, request_id, finish_reason))

    @raw
    async def Report(self, data: Bytes, context: Context) -> bytes:  # type: ignore[override]
        admit = None
        if self._callers.is_on:  # to report is no request, and counts for none
            admit = partial(self._hold_owner, self._find(context))
        listener = Listener(self._observe, admit, self.on_reported)
        response = await settle_outcomes(data, self._settle, listener, turn_of(context))
        return response.SerializeToString()

    async def _worded(
        self, content: Content, context: Context, *, streams: bool
    ) -> tuple[Chat | None, Asked]:
        """What is read of a text or a chat, and what is asked of a model."""
        if content.field == TEXT:
            return None, asked_by_text(content.data, streams=streams)
        if len(content.data) > INLINE_BYTES_MAX:
            hold_chat(content.data)
            chat = await self._read_large_chat(bytes(content.data), context.peer())
        else:
            chat = read_chat(content.data, field=content.field)
        return chat, asked_by_chat(content.data, chat, streams=streams)

    def _hold_owner(self, caller: Caller, decision_id: str) -> None:
        """Raises DecisionTenant; of what is no id of ours, whoever settles it says so."""
        with suppress(DecisionInvalid, DecisionExpired):
            decision = self._router.sealer.open(decision_id, now_s=self._now_s())
            caller.hold_owner(decision.owner)

    def _observe(self, decision_id: str, reported: Reported) -> None:
        self._router.observe(decision_id, reported, now_s=self._now_s())

    def _find(self, context: Context) -> Caller:
        return find(self._callers, context, now_s=self._now_s())

    def _admit(self, context: Context) -> Caller:
        return admit(self._callers, context, now_s=self._now_s())

    def _admit_for_long(self, context: Context) -> Caller:
        return admit_for_long(self._callers, context, now_s=self._now_s())

    def _metadata(self, context: Context) -> dict[str, str]:
        """Only where a rule asks for them: to read metadata takes as long as all rules."""
        if not self._router.asks_metadata:
            return {}
        return convert.text_metadata(context.invocation_metadata())


def forwarded(metadata: convert.Metadata | None) -> tuple[tuple[str, str], ...]:
    """The metadata of a caller that endpoints get."""
    # Where a name comes twice the last one counts, for a request has one trace.
    kept = {
        key: value
        for key, value in metadata or ()
        if key in FORWARDED_KEYS and isinstance(value, str)
    }
    # Some peers let other characters through, on which our own client would fail.
    return tuple([(k, v) for k, v in kept.items() if v.isascii() and v.isprintable()])
