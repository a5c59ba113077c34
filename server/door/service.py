"""What the door serves: convert, call inward, convert back. No decision is taken here."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import NamedTuple, TypeAlias, cast

from aiohttp import HttpVersion11, web

from server.dispatch.dispatcher import Dispatcher
from server.dispatch.exchange import CHAT, EMBEDDINGS, Asked, Operation
from server.door.answers import cost_of, headers_of, model_of, models_of
from server.door.body import read_body
from server.door.callers import admitted, find
from server.door.connection import DoorConnection
from server.door.context import context_of
from server.door.errors import HttpError, answer_of, refusal_of
from server.door.framing import FramingError
from server.door.streaming import DONE, HEADERS, comment, events, last_words
from server.routing.callers import Caller
from server.routing.catalog import PayloadKind
from server.routing.errors import NotFound, RoutingError, StreamBroken
from server.routing.query import Query
from server.routing.router import Router
from server.rpc import convert
from server.rpc.carve import Content
from server.rpc.class_name import AUTO
from server.rpc.errors import reason_of
from server.rpc.infer_content import asked_of
from server.rpc.openai_chat import INLINE_BYTES_MAX, Chat, read_chat
from server.rpc.openai_embeddings import read_embeddings
from server.rpc.routing import ReadLargeChat, forwarded
from server.status_code import Code
from turnout.v1 import routing_pb2 as pb

CHAT_PATH, EMBEDDINGS_PATH = "/v1/chat/completions", "/v1/embeddings"
MODELS_PATH = "/v1/models"
# Of a stream that is still under way when the time of a drain is over.
LAST_WORDS = last_words(
    refusal_of(StreamBroken("the service stops: ask again", code=Code.UNAVAILABLE)).event
)
_BODY = "openai_chat"  # as readers of it are told where it stands
_JSON = "application/json"
_READ = {CHAT: read_chat, EMBEDDINGS: read_embeddings}
_KINDS = {CHAT: PayloadKind.TEXT, EMBEDDINGS: PayloadKind.EMBEDDINGS}

Request: TypeAlias = web.BaseRequest
_Handler: TypeAlias = Callable[[Request], Awaitable[web.StreamResponse]]


class _Route(NamedTuple):
    method: str
    answer: _Handler


class DoorService:
    """Answers requests of OpenAI's clients."""

    def __init__(
        self,
        router: Router,
        dispatcher: Dispatcher,
        read_large: Mapping[Operation, ReadLargeChat],
        on_refused: Callable[[str], None],
        *,
        now_s: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        """`read_large` reads beside the loop what is large.

        `on_refused` is told the reason of each request that is answered with an error.
        """
        self._router = router
        self._dispatcher = dispatcher
        self._read_large = read_large
        self._on_refused = on_refused
        self._now_s = now_s
        self._chance = chance
        self._routes: Mapping[str, _Route] = {
            CHAT_PATH: _Route("POST", partial(self._infer, CHAT)),
            EMBEDDINGS_PATH: _Route("POST", partial(self._infer, EMBEDDINGS)),
            MODELS_PATH: _Route("GET", self._models),
        }

    async def answer(self, request: Request) -> web.StreamResponse:
        """The answer to any request, or the error that it is answered with."""
        try:
            response = await self._answer(request)
        except ConnectionError:  # its caller has gone
            raise
        except Exception as error:  # noqa: BLE001 - this is where every error ends
            if _connection(request).transport is None:
                raise ConnectionResetError("its caller has gone") from None
            response = self._refuse(error)
            if request.writer.output_size > 0:  # too late for words: the end says that it is broken
                raise ConnectionResetError(reason_of(error)) from None
        if not response.prepared:
            self._head_of(response, request)
        return response

    def _head_of(self, response: web.StreamResponse, request: Request) -> None:
        """What every answer says, the last of a connection included."""
        response.headers["server"] = "turnout"
        if _connection(request).is_retiring:
            response.force_close()

    async def _answer(self, request: Request) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        route = self._routes.get(path)
        if route is None and path.startswith(f"{MODELS_PATH}/"):
            route = _Route("GET", self._model)
        if route is None:
            raise NotFound(f"nothing is served at this path: {', '.join(self._routes)} are")
        if request.method != route.method:
            raise HttpError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "METHOD_WRONG",
                f"the method here is {route.method}",
                allow=route.method,
            )
        if "origin" in request.headers:
            raise HttpError(
                HTTPStatus.FORBIDDEN,
                "ORIGIN_REFUSED",
                "this is for programs: a page in a browser may be anybody's, and is not answered",
            )
        return await route.answer(request)

    def _refuse(self, error: Exception) -> web.Response:
        reason = error.reason if isinstance(error, HttpError) else reason_of(error)
        self._on_refused(reason)
        refused = answer_of(refusal_of(error, chance=self._chance))
        if isinstance(error, FramingError):
            refused.force_close()
        return refused

    async def _models(self, request: Request) -> web.Response:
        return _json(models_of(self._classes_for(request)))

    async def _model(self, request: Request) -> web.Response:
        name, classes = request.path.removeprefix(f"{MODELS_PATH}/"), self._classes_for(request)
        if name != AUTO and name not in classes:
            raise NotFound(f"there is no class {name[:80]!r}: GET {MODELS_PATH} lists them")
        return _json(model_of(name))

    def _classes_for(self, request: Request) -> Sequence[str]:
        """Those that its caller may ask; raises a RoutingError where it needs a name."""
        callers, classes = self._router.callers, tuple(self._router.catalog.classes)
        if not callers.is_on:
            return classes
        caller = find(callers, request, _connection(request), now_s=self._now_s())
        return tuple(name for name in classes if not caller.classes or name in caller.classes)

    async def _infer(self, operation: Operation, request: Request) -> web.StreamResponse:
        """Who may not ask is refused before its body is read."""
        callers, connection = self._router.callers, _connection(request)
        with admitted(callers, request, connection, now_s=self._now_s()) as caller:
            return await self._infer_for(caller, operation, request)

    async def _infer_for(
        self, caller: Caller | None, operation: Operation, request: Request
    ) -> web.StreamResponse:
        connection = _connection(request)
        body = await read_body(request, connection)
        chat = await self._read(operation, body, connection.peer)
        query = self._query(request, body, chat)
        query.payload_kind = _KINDS[operation]
        if caller is not None:
            query.sign(caller, tenant_at=convert.TENANT_AT)
        asked = asked_of(body, operation, chat, streams=chat.streams)
        if chat.streams:
            return await self._stream(request, query, asked)
        answer = await self._dispatcher.infer(
            query, asked, timeout_s=None, metadata=_forwarded(request)
        )
        headers = headers_of(answer, request.headers.get("x-request-id", "")) | cost_of(answer)
        return web.Response(body=bytes(answer.response), headers=headers, content_type=_JSON)

    async def _read(self, operation: Operation, body: bytes, peer: str) -> Chat:
        """Raises PayloadMalformed, PayloadTooLarge or Overloaded."""
        if len(body) <= INLINE_BYTES_MAX:
            return _READ[operation](body, field=_BODY)
        return await self._read_large[operation](body, peer)

    def _query(self, request: Request, body: bytes, chat: Chat) -> Query:
        context = context_of(request.headers, chat, self._router.catalog.classes)
        metadata = _fields(request) if self._router.asks_metadata else {}
        return convert.route_query(
            pb.RouteRequest(context=context),
            convert.TEXT_BYTES_MAX + context.ByteSize(),  # so that each text is looked at
            metadata,
            Content(_BODY, memoryview(body)),
            chat,
        )

    async def _stream(self, request: Request, query: Query, asked: Asked) -> web.StreamResponse:
        """Until the first event is here, an error is an answer; from then on it is an event."""
        async with self._dispatcher.stream(
            query, asked, timeout_s=None, metadata=_forwarded(request)
        ) as answer:
            headers = headers_of(answer, request.headers.get("x-request-id", ""))
            response = web.StreamResponse(headers=HEADERS | headers)
            self._head_of(response, request)
            await response.prepare(request)
            connection = _connection(request)
            if request.version >= HttpVersion11:
                connection.last_words = LAST_WORDS
            heartbeat_s = connection.limits.heartbeat_s
            async with events(response, heartbeat_s=heartbeat_s) as written:
                try:
                    async for piece in answer.pieces:
                        await written.write(piece)
                except RoutingError as error:
                    self._on_refused(error.reason)
                    await written.write(refusal_of(error).event)
                    return response
                finally:
                    connection.last_words = b""
                await written.write(comment(cost_of(answer)) + DONE)
        return response


def _connection(request: Request) -> DoorConnection:
    return cast("DoorConnection", request.protocol)


def _fields(request: Request) -> dict[str, str]:
    """What rules may look at. Of two of a name the last, as of gRPC's metadata."""
    return {name.lower(): value for name, value in request.headers.items()}


def _forwarded(request: Request) -> tuple[tuple[str, str], ...]:
    return forwarded([(name.lower(), value) for name, value in request.headers.items()])


def _json(document: Mapping[str, object]) -> web.Response:
    return web.Response(body=json.dumps(document).encode(), content_type=_JSON)
